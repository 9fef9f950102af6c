/* Lists of what a container holds: the strings in one block behind the items. */
#include "members.h"

vindex_status vx_members_add(vx_members *members, const char *path, const vindex_member *member) {
    if (!vx_pool_add(&members->text, member->key, strlen(member->key)) ||
        !vx_pool_add(&members->text, member->kind, strlen(member->kind)) ||
        !vx_grow((void **)&members->items, &members->capacity, members->count + 1,
                 sizeof *members->items))
        return vx_fail_memory(members->count + 1, sizeof *members->items, path);
    members->items[members->count++] = *member;
    return VINDEX_OK;
}

vindex_status vx_members_end(vx_members *members, const char *path, vindex_status status,
                             vindex_members *result) {
    char **text = NULL;
    if (status == VINDEX_OK) {
        text = vx_pool_pack(&members->text);
        if (!text ||
            !vx_grow((void **)&members->items, &members->capacity, 1, sizeof *members->items))
            status = vx_fail_memory(members->count, sizeof *members->items, path);
    }
    if (status == VINDEX_OK) {
        for (size_t i = 0; i < members->count; i++) {
            members->items[i].key = text[2 * i];
            members->items[i].kind = text[2 * i + 1];
        }
        *result = (vindex_members){(int64_t)members->count, members->items, text};
    } else {
        vx_free(text);
        vx_free(members->items);
    }
    vx_pool_free(&members->text);
    *members = (vx_members){0};
    return status;
}

void vindex_members_free(vindex_members *members) {
    if (!members) return;
    vx_free(members->items);
    vx_free(members->text);
    *members = (vindex_members){0};
}
