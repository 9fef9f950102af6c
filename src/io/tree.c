/* Members of a tree and their keys. */
#include "tree.h"

#include "text.h"

#include <stdio.h>

/* ---- keys ---- */

/* A column of a table: the values of one key, none where it is missing; NULL where the first
 * dictionary does not have it. */
static vindex_status table_column(vx_tree *tree, const vx_value *table, const char *key,
                                  size_t length, vx_value **column) {
    *column = NULL;
    if (!vx_dict_get(tree, table->items[0], key, length)) return VINDEX_OK;
    vx_value *list = vx_value_new(tree, VX_LIST), *none = vx_value_new(tree, VX_NONE);
    if (!list || !none) return vx_tree_fail(tree);
    bool whole = true, numbers = true;
    for (size_t i = 0; i < table->count; i++) {
        vx_value *value = vx_dict_get(tree, table->items[i], key, length);
        if (!value) value = none;
        VX_TRY(vx_tree_check_work(tree));
        whole &= value->kind == VX_INT;
        numbers &= value->kind == VX_INT || value->kind == VX_FLOAT;
        if (!vx_value_append(tree, list, value)) return vx_tree_fail(tree);
    }
    *column = list;
    if (!numbers) return VINDEX_OK;
    vindex_dtype dtype = whole ? VINDEX_I64 : VINDEX_F64;
    unsigned char *room;
    *column = vx_tree_numbers(tree, dtype, list->count, &room);
    if (!*column) return vx_tree_fail(tree);
    for (size_t i = 0; i < list->count; i++) vx_store_number(room, i, dtype, list->items[i]);
    return VINDEX_OK;
}

/* The place that the front of a key names, digits to a point or the end; false if it names none. */
static bool take_place(const char *key, size_t *place, size_t *length) {
    *place = 0;
    for (*length = 0; key[*length] >= '0' && key[*length] <= '9'; ++*length)
        if (!vx_mul(*place, 10, place) || !vx_add(*place, (size_t)(key[*length] - '0'), place))
            return false;
    return *length && (!key[*length] || key[*length] == '.');
}

vindex_status vx_tree_find(vx_tree *tree, vx_value *from, const char *key, vx_value **found,
                           vx_value **parent) {
    *found = NULL;
    size_t length, place, whole = strlen(key);
    if (vx_is_list(from) && take_place(key, &place, &length) && place < from->count) {
        *parent = from;
        *found = from->items[place];
        return key[length] ? vx_tree_find(tree, from->items[place], key + length + 1, found, parent)
                           : VINDEX_OK;
    }
    bool table = from->kind != VX_DICT && vx_is_table(tree, from);
    if (from->kind != VX_DICT && !table) return VINDEX_OK;
    /* The whole key first, then as much of it as there is a key for. */
    for (length = whole; length && !*found; length--) {
        if (length < whole && key[length] != '.') continue;
        vx_value *value = vx_dict_get(tree, table ? from->items[0] : from, key, length);
        if (!value) continue;
        if (table) VX_TRY(table_column(tree, from, key, length, &value));
        *parent = from;
        *found = value;
        if (length < whole) VX_TRY(vx_tree_find(tree, value, key + length + 1, found, parent));
    }
    return VINDEX_OK;
}

/* ---- members ---- */

enum { MEMBERS_MOST = 10000, PARTS_MOST = 64, KEY_MOST = 512 };

typedef struct walk {
    vx_tree *tree;
    vindex_status (*visit)(void *context, const vx_visit *member);
    void *context;
    size_t seen;
    char key[KEY_MOST];
    size_t length;
} walk;

static vindex_status walk_value(walk *w, vx_value *value, vx_value *parent);

/* Walks on below, with a part added to the key. A part that no key can have is left out. */
static vindex_status walk_part(walk *w, const char *part, size_t part_length, vx_value *value,
                               vx_value *parent) {
    size_t before = w->length;
    if (w->length + part_length + 2 > KEY_MOST || memchr(part, 0, part_length)) return VINDEX_OK;
    if (before) w->key[w->length++] = '.';
    memcpy(w->key + w->length, part, part_length);
    w->length += part_length;
    w->key[w->length] = 0;
    vindex_status status = walk_value(w, value, parent);
    w->length = before;
    w->key[before] = 0;
    return status;
}

static vindex_status walk_inside(walk *w, vx_value *value) {
    bool table = value->kind != VX_DICT && vx_is_table(w->tree, value);
    char room[VX_KEY_ROOM];
    size_t length;
    if (value->kind == VX_DICT || table) {
        const vx_value *keys = table ? value->items[0] : value;
        size_t most = table ? 2 * PARTS_MOST : keys->count;
        for (size_t i = 0; i < keys->count && i < most; i += 2) {
            const char *key = vx_value_word(keys->items[i], room, &length);
            vx_value *part = keys->items[i + 1];
            if (!key || !length) continue;
            if (table) VX_TRY(table_column(w->tree, value, key, length, &part));
            VX_TRY(walk_part(w, key, length, part, value));
        }
        return VINDEX_OK;
    }
    for (size_t i = 0; i < value->count && i < PARTS_MOST; i++) {
        length = (size_t)snprintf(room, sizeof room, "%zu", i);
        VX_TRY(walk_part(w, room, length, value->items[i], value));
    }
    return VINDEX_OK;
}

static vindex_status walk_value(walk *w, vx_value *value, vx_value *parent) {
    if (w->seen++ >= MEMBERS_MOST) return VINDEX_OK;
    vx_facts facts = vx_value_facts(w->tree, value);
    bool inside = facts.use == VINDEX_MEMBER_OTHER &&
                  (value->kind == VX_DICT || vx_is_list(value)) && value->count;
    if (inside) return walk_inside(w, value);
    return w->visit(w->context, &(vx_visit){w->key, value, parent, facts});
}

vindex_status vx_tree_walk(vx_tree *tree,
                           vindex_status (*visit)(void *context, const vx_visit *member),
                           void *context) {
    walk w = {.tree = tree, .visit = visit, .context = context};
    VX_TRY(walk_value(&w, tree->root, NULL));
    return vx_tree_check_work(tree);
}

struct listing {
    vx_tree *tree;
    vx_members *members;
};

static vindex_status list_member(void *context, const vx_visit *member) {
    struct listing *listing = context;
    char words[VX_WORDS];
    const vx_facts *facts = &member->facts;
    vindex_member item = {.key = member->key,
                          .kind = vx_value_words(listing->tree, member->value, words),
                          .use = facts->use,
                          .dtype = facts->dtype,
                          .rows = (int64_t)facts->rows,
                          .dim = (int64_t)facts->dim};
    if (facts->use == VINDEX_MEMBER_LABELS) {
        if (facts->vector) item.rows = (int64_t)facts->dim;
        item.dim = 0;
    }
    return vx_members_add(listing->members, listing->tree->path, &item);
}

vindex_status vx_tree_build(const vindex_embeddings *file, vx_tree *tree) {
    *tree = vx_tree_begin(file->path, file->map.length);
    return file->format->reader->tree(file, tree);
}

vindex_status vx_tree_members(vindex_embeddings *file, vx_members *members) {
    vx_tree tree;
    vindex_status status = vx_tree_build(file, &tree);
    struct listing listing = {&tree, members};
    if (status == VINDEX_OK) status = vx_tree_walk(&tree, list_member, &listing);
    vx_tree_free(&tree);
    return status;
}

/* ---- choosing ---- */

struct search {
    vx_tree *tree;
    vindex_member_use use;
    vx_visit best, vector;
    size_t count, vectors;
    char names[512]; /* of those of that use; of all where there are none */
    size_t length;
    bool all;
};

static void name_member(struct search *s, const vx_visit *member) {
    char key[VX_EXCERPT], words[VX_WORDS];
    if (s->length + 160 > sizeof s->names) {
        if (s->length < sizeof s->names - 8)
            s->length += (size_t)snprintf(s->names + s->length, 8, ", ...");
        s->length = VX_MAX(s->length, sizeof s->names - 8);
        return;
    }
    s->length +=
        (size_t)snprintf(s->names + s->length, sizeof s->names - s->length, "%s'%s' (%s)",
                         s->length ? ", " : "", vx_excerpt(member->key, strlen(member->key), key),
                         vx_value_words(s->tree, member->value, words));
}

static vindex_status consider(void *context, const vx_visit *member) {
    struct search *s = context;
    bool of_use = member->facts.use == s->use &&
                  !(s->use == VINDEX_MEMBER_EMBEDDINGS && member->facts.vector);
    if (of_use && !s->count++) s->best = *member;
    if (member->facts.vector && !s->vectors++) s->vector = *member;
    if (of_use || s->all) name_member(s, member);
    return VINDEX_OK;
}

static const char *use_words(vindex_member_use use) {
    return use == VINDEX_MEMBER_LABELS ? "labels" : "embeddings";
}

/* After a walk that counted: names what was found, or everything where nothing fits. */
static vindex_status fail_choice(struct search *s, const char *key) {
    s->all = !s->count;
    s->length = 0;
    s->names[0] = 0;
    VX_TRY(vx_tree_walk(s->tree, consider, s));
    if (key)
        return vx_fail(VINDEX_ERR_NOT_FOUND, "%s: it has no key '%.100s'; %s it has: %s",
                       s->tree->path, key, s->all ? "what" : use_words(s->use), s->names);
    if (s->all)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: it holds no %s that can be told from the rest; name one by its key, or "
                       "save them alone; it holds: %s",
                       s->tree->path, use_words(s->use), s->length ? s->names : "nothing");
    return vx_fail(VINDEX_ERR_ARGUMENT, "%s: it holds several %s; choose one by its key: %s",
                   s->tree->path, use_words(s->use), s->names);
}

static vindex_status choose_key(struct search *s, const char *key, vx_visit *chosen) {
    vx_tree *tree = s->tree;
    *chosen = (vx_visit){.key = key};
    if (*key)
        VX_TRY(vx_tree_find(tree, tree->root, key, &chosen->value, &chosen->parent));
    else
        chosen->value = tree->root;
    if (!chosen->value) {
        VX_TRY(vx_tree_walk(tree, consider, s));
        return fail_choice(s, key);
    }
    chosen->facts = vx_value_facts(tree, chosen->value);
    return vx_tree_check_work(tree);
}

vindex_status vx_tree_choose(vx_tree *tree, const char *key, vindex_member_use use,
                             vx_visit *chosen) {
    struct search s = {.tree = tree, .use = use};
    if (key) return choose_key(&s, key, chosen);
    VX_TRY(vx_tree_walk(tree, consider, &s));
    bool vector = use == VINDEX_MEMBER_EMBEDDINGS && !s.count && s.vectors == 1;
    if (s.count != 1 && !vector) return fail_choice(&s, NULL);
    *chosen = vector ? s.vector : s.best;
    chosen->key = NULL;
    return VINDEX_OK;
}
