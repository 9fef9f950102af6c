/* vindex: exact vector search inside your own program.
 *
 *     vindex_index *index;
 *     if (vindex_create("Flat", 128, VINDEX_L2, &index)) die(vindex_last_error());
 *     vindex_add(index, vectors, n, NULL);
 *     vindex_search_params params;
 *     vindex_search_params_init(&params);
 *     params.k = 10;
 *     vindex_search(index, queries, nq, &params, ids, distances);
 *     vindex_save(index, "songs.vindex", NULL);
 *     vindex_free(index);
 */
#ifndef VINDEX_VINDEX_H
#define VINDEX_VINDEX_H

#include <vindex/fields.h>
#include <vindex/flat.h>
#include <vindex/hnsw.h>
#include <vindex/index.h>
#include <vindex/ivf.h>
#include <vindex/status.h>
#include <vindex/transform.h>
#include <vindex/tune.h>
#include <vindex/types.h>

#endif
