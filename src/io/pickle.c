#include "pickle.h"

#include "numbers.h"
#include "text.h"

/* The opcodes that are read. */
enum {
    MARK = '(',
    STOP = '.',
    POP = '0',
    POP_MARK = '1',
    BINFLOAT = 'G',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    NONE = 'N',
    BINPERSID = 'Q',
    REDUCE = 'R',
    BINSTRING = 'T',
    SHORT_BINSTRING = 'U',
    BINUNICODE = 'X',
    EMPTY_LIST = ']',
    APPEND = 'a',
    BUILD = 'b',
    GLOBAL = 'c',
    APPENDS = 'e',
    BINGET = 'h',
    LONG_BINGET = 'j',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    SETITEM = 's',
    TUPLE = 't',
    SETITEMS = 'u',
    EMPTY_DICT = '}',
    EMPTY_TUPLE = ')',
    PROTO = 0x80,
    NEWOBJ = 0x81,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    LONG4 = 0x8b,
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d,
    BINBYTES8 = 0x8e,
    BYTEARRAY8 = 0x96,
    STACK_GLOBAL = 0x93,
    MEMOIZE = 0x94,
    FRAME = 0x95
};

enum { NEWEST_PROTOCOL = 5, MARKS_MOST = 1 << 16 };

typedef struct machine {
    vx_tree *tree;
    const vx_pickle_rules *rules;
    const unsigned char *start, *at, *end;
    vx_value **stack;
    size_t depth, stack_capacity;
    size_t *marks; /* depths of the stack */
    size_t mark_count, marks_capacity;
    vx_value **memo; /* by number; NULL where nothing was put */
    size_t memo_count, memo_capacity;
    vx_value *none; /* one for all, for they are alike */
} machine;

static vindex_status fail_damaged(const machine *m, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: its pickle %s at byte %zu; it was cut or is damaged",
                   m->tree->path, what, (size_t)(m->at - m->start));
}

/* The next count bytes; NULL where the pickle ends before. */
static const unsigned char *take(machine *m, uint64_t count) {
    if ((uint64_t)(m->end - m->at) < count) return NULL;
    const unsigned char *bytes = m->at;
    m->at += count;
    return bytes;
}

/* An unsigned little-endian integer of that many bytes. */
static bool take_number(machine *m, size_t bytes, uint64_t *number) {
    const unsigned char *from = take(m, bytes);
    *number = 0;
    for (size_t i = 0; from && i < bytes; i++) *number |= (uint64_t)from[i] << 8 * i;
    return from != NULL;
}

static vindex_status push(machine *m, vx_value *value) {
    if (!value) return vx_tree_fail(m->tree);
    /* Pointers to values count as memory of the tree does. */
    if (m->depth >= m->tree->limit / sizeof *m->stack)
        return fail_damaged(m, "piles up more values than memory is granted for");
    if (!vx_grow((void **)&m->stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack))
        return vx_fail_memory(m->depth + 1, sizeof *m->stack, m->tree->path);
    m->stack[m->depth++] = value;
    return VINDEX_OK;
}

/* How many values lie above the last mark. */
static size_t above_mark(const machine *m) {
    return m->depth - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

static vindex_status need(const machine *m, size_t values) {
    return above_mark(m) >= values ? VINDEX_OK : fail_damaged(m, "takes more values than it made");
}

static vx_value *pop(machine *m) {
    return m->stack[--m->depth];
}

/* Takes the last mark away; *count receives how many values lie above it. */
static vindex_status pop_mark(machine *m, size_t *count) {
    if (!m->mark_count) return fail_damaged(m, "takes a mark it did not make");
    *count = above_mark(m);
    m->mark_count--;
    return VINDEX_OK;
}

static vindex_status push_mark(machine *m) {
    if (m->mark_count == MARKS_MOST) return fail_damaged(m, "is nested too deep");
    if (!vx_grow((void **)&m->marks, &m->marks_capacity, m->mark_count + 1, sizeof *m->marks))
        return vx_fail_memory(m->mark_count + 1, sizeof *m->marks, m->tree->path);
    m->marks[m->mark_count++] = m->depth;
    return VINDEX_OK;
}

static vindex_status push_none(machine *m) {
    if (!m->none) m->none = vx_value_new(m->tree, VX_NONE);
    return push(m, m->none);
}

static vindex_status push_int(machine *m, int64_t integer) {
    return push(m, vx_value_integer(m->tree, VX_INT, integer));
}

/* A two's complement integer of any width. */
static vindex_status push_long(machine *m, size_t size_bytes) {
    uint64_t length, integer = 0;
    if (!take_number(m, size_bytes, &length)) return fail_damaged(m, "ends");
    const unsigned char *bytes = take(m, length);
    if (!bytes) return fail_damaged(m, "ends within a number");
    if (length > sizeof integer) {
        vx_value *value = vx_value_text(m->tree, (const char *)bytes, length);
        if (value) value->kind = VX_BYTES;
        return push(m, value);
    }
    for (size_t i = 0; i < length; i++) integer |= (uint64_t)bytes[i] << 8 * i;
    if (length && length < sizeof integer && bytes[length - 1] & 0x80)
        integer |= UINT64_MAX << 8 * length;
    return push_int(m, (int64_t)integer);
}

/* A double, big-endian. */
static vindex_status push_float(machine *m) {
    const unsigned char *bytes = take(m, 8);
    if (!bytes) return fail_damaged(m, "ends within a number");
    vx_value *value = vx_value_new(m->tree, VX_FLOAT);
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    if (value) memcpy(&value->number, &bits, sizeof bits);
    return push(m, value);
}

static vindex_status push_text(machine *m, size_t size_bytes, vx_kind kind) {
    uint64_t length;
    if (!take_number(m, size_bytes, &length)) return fail_damaged(m, "ends");
    const unsigned char *bytes = take(m, length);
    if (!bytes) return fail_damaged(m, "ends within a text");
    vx_value *value = vx_value_text(m->tree, (const char *)bytes, length);
    if (value) value->kind = kind;
    return push(m, value);
}

/* The top count values as a tuple. */
static vindex_status push_tuple(machine *m, size_t count) {
    VX_TRY(need(m, count));
    vx_value *tuple = vx_value_new(m->tree, VX_TUPLE);
    if (!tuple) return vx_tree_fail(m->tree);
    if (count) {
        tuple->items = vx_tree_take(m->tree, count, sizeof *tuple->items);
        if (!tuple->items) return vx_tree_fail(m->tree);
        memcpy(tuple->items, m->stack + m->depth - count, count * sizeof *tuple->items);
        tuple->count = tuple->capacity = count;
        m->depth -= count;
    }
    return push(m, tuple);
}

/* Moves the top count values into the list or dictionary below them. */
static vindex_status append(machine *m, size_t count, vx_kind kind) {
    VX_TRY(need(m, count + 1));
    vx_value *list = m->stack[m->depth - count - 1];
    if (list->kind != kind || (kind == VX_DICT && count % 2))
        return fail_damaged(m, "puts values into what is no list or dictionary");
    for (size_t i = m->depth - count; i < m->depth; i++)
        if (!vx_value_append(m->tree, list, m->stack[i])) return vx_tree_fail(m->tree);
    m->depth -= count;
    return VINDEX_OK;
}

static vindex_status append_marked(machine *m, vx_kind kind) {
    size_t count = 0;
    VX_TRY(pop_mark(m, &count));
    return append(m, count, kind);
}

static vindex_status put(machine *m, uint64_t number) {
    VX_TRY(need(m, 1));
    /* Picklers count up, some from 1; a larger number would only claim memory. */
    if (number > m->memo_count + 1) return fail_damaged(m, "leaves a gap in its memo");
    if (!vx_grow((void **)&m->memo, &m->memo_capacity, number + 1, sizeof *m->memo))
        return vx_fail_memory(number + 1, sizeof *m->memo, m->tree->path);
    while (m->memo_count <= number) m->memo[m->memo_count++] = NULL;
    m->memo[number] = m->stack[m->depth - 1];
    return VINDEX_OK;
}

static vindex_status put_at(machine *m, size_t size_bytes) {
    uint64_t number;
    if (!take_number(m, size_bytes, &number)) return fail_damaged(m, "ends");
    return put(m, number);
}

static vindex_status get(machine *m, size_t size_bytes) {
    uint64_t number;
    if (!take_number(m, size_bytes, &number)) return fail_damaged(m, "ends");
    if (number >= m->memo_count || !m->memo[number])
        return fail_damaged(m, "asks its memo for what it did not put there");
    return push(m, m->memo[number]);
}

static bool is_word(const char *word, const char *text, size_t length) {
    return strlen(word) == length && !memcmp(word, text, length);
}

/* A name of Python's: from the list, or the end. */
static vindex_status push_name(machine *m, const char *module, size_t module_length,
                               const char *name, size_t name_length) {
    for (size_t i = 0; i < m->rules->name_count; i++) {
        const vx_pickle_name *known = &m->rules->names[i];
        if (!is_word(known->module, module, module_length)) continue;
        if (!is_word(known->name, name, name_length)) continue;
        vx_value *value = vx_value_new(m->tree, VX_GLOBAL);
        if (value) value->name = known;
        return push(m, value);
    }
    char shown_module[VX_EXCERPT], shown_name[VX_EXCERPT];
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: its pickle names %s.%s, which is neither a tensor nor a plain value, and "
                   "nothing of it was run; save tensors, lists, dictionaries and words alone",
                   m->tree->path, vx_excerpt(module, module_length, shown_module),
                   vx_excerpt(name, name_length, shown_name));
}

/* Two lines. */
static vindex_status take_name(machine *m) {
    const unsigned char *module = m->at, *first, *second = NULL;
    first = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (first) second = memchr(first + 1, '\n', (size_t)(m->end - first - 1));
    if (!second) return fail_damaged(m, "ends within a name");
    m->at = second + 1;
    return push_name(m, (const char *)module, (size_t)(first - module), (const char *)first + 1,
                     (size_t)(second - first - 1));
}

static vindex_status name_from_stack(machine *m) {
    VX_TRY(need(m, 2));
    const vx_value *name = pop(m), *module = pop(m);
    if (name->kind != VX_TEXT || module->kind != VX_TEXT)
        return fail_damaged(m, "names something by what is no text");
    return push_name(m, module->text, module->length, name->text, name->length);
}

static vindex_status reduce(machine *m) {
    VX_TRY(need(m, 2));
    const vx_value *arguments = pop(m), *callee = pop(m);
    if (callee->kind != VX_GLOBAL || arguments->kind != VX_TUPLE)
        return fail_damaged(m, "calls what is no function");
    vx_value *result;
    VX_TRY(m->rules->call(m->rules->context, callee->name, arguments, &result));
    return push(m, result);
}

static vindex_status persistent(machine *m) {
    VX_TRY(need(m, 1));
    vx_value *result;
    VX_TRY(m->rules->persistent(m->rules->context, pop(m), &result));
    return push(m, result);
}

/* Attributes of a dictionary (torch notes the versions of modules there) are no part of what it
 * holds. */
static vindex_status build(machine *m) {
    VX_TRY(need(m, 2));
    const vx_value *state = pop(m);
    vx_value *object = m->stack[m->depth - 1];
    if (object->kind == VX_DICT) return VINDEX_OK;
    if (object->kind == VX_DTYPE || object->kind == VX_NDARRAY)
        return m->rules->build(m->rules->context, object, state);
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: its pickle sets attributes of an object that is no dictionary, at byte "
                   "%zu; save tensors and plain values alone",
                   m->tree->path, (size_t)(m->at - m->start));
}

static vindex_status check_protocol(machine *m) {
    uint64_t protocol;
    if (!take_number(m, 1, &protocol)) return fail_damaged(m, "ends");
    if (protocol >= 2 && protocol <= NEWEST_PROTOCOL) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_VERSION,
                   "%s: a pickle of protocol %u: 2 to %d are read; save it with pickle_protocol=2",
                   m->tree->path, (unsigned)protocol, NEWEST_PROTOCOL);
}

/* Opcodes that move values about. */
static vindex_status step_structure(machine *m, unsigned char opcode) {
    size_t count = 0;
    uint64_t length;
    switch (opcode) {
    case PROTO:
        return check_protocol(m);
    case FRAME: /* a hint for readers of streams */
        return take_number(m, 8, &length) ? VINDEX_OK : fail_damaged(m, "ends");
    case MARK:
        return push_mark(m);
    case POP:
        VX_TRY(need(m, 1));
        pop(m);
        return VINDEX_OK;
    case POP_MARK:
        VX_TRY(pop_mark(m, &count));
        m->depth -= count;
        return VINDEX_OK;
    case APPEND:
        return append(m, 1, VX_LIST);
    case APPENDS:
        return append_marked(m, VX_LIST);
    case SETITEM:
        return append(m, 2, VX_DICT);
    case SETITEMS:
        return append_marked(m, VX_DICT);
    case BINPUT:
        return put_at(m, 1);
    case LONG_BINPUT:
        return put_at(m, 4);
    case MEMOIZE:
        return put(m, m->memo_count);
    case BINGET:
        return get(m, 1);
    case LONG_BINGET:
        return get(m, 4);
    case GLOBAL:
        return take_name(m);
    case STACK_GLOBAL:
        return name_from_stack(m);
    case REDUCE:
        return reduce(m);
    case BUILD:
        return build(m);
    case BINPERSID:
        return persistent(m);
    default:
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "%s: its pickle has opcode 0x%02x at byte %zu, which plain values and "
                       "tensors do not need; save these alone, with pickle_protocol=2",
                       m->tree->path, opcode, (size_t)(m->at - m->start) - 1);
    }
}

static vindex_status step_number(machine *m, size_t bytes) {
    uint64_t number;
    if (!take_number(m, bytes, &number)) return fail_damaged(m, "ends within a number");
    return push_int(m, bytes == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static vindex_status step(machine *m, unsigned char opcode) {
    size_t count = 0;
    switch (opcode) {
    case NONE:
        return push_none(m);
    case NEWTRUE:
    case NEWFALSE:
        return push(m, vx_value_integer(m->tree, VX_BOOL, opcode == NEWTRUE));
    case BININT:
        return step_number(m, 4);
    case BININT1:
        return step_number(m, 1);
    case BININT2:
        return step_number(m, 2);
    case LONG1:
        return push_long(m, 1);
    case LONG4:
        return push_long(m, 4);
    case BINFLOAT:
        return push_float(m);
    case SHORT_BINSTRING:
    case SHORT_BINUNICODE:
        return push_text(m, 1, VX_TEXT);
    case BINSTRING:
    case BINUNICODE:
        return push_text(m, 4, VX_TEXT);
    case BINUNICODE8:
        return push_text(m, 8, VX_TEXT);
    case SHORT_BINBYTES:
        return push_text(m, 1, VX_BYTES);
    case BINBYTES:
        return push_text(m, 4, VX_BYTES);
    case BINBYTES8:
    case BYTEARRAY8:
        return push_text(m, 8, VX_BYTES);
    case EMPTY_LIST:
        return push(m, vx_value_new(m->tree, VX_LIST));
    case EMPTY_DICT:
        return push(m, vx_value_new(m->tree, VX_DICT));
    case EMPTY_TUPLE:
        return push_tuple(m, 0);
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return push_tuple(m, (size_t)opcode - TUPLE1 + 1);
    case TUPLE:
        VX_TRY(pop_mark(m, &count));
        return push_tuple(m, count);
    default:
        return step_structure(m, opcode);
    }
}

vindex_status vx_pickle_read(vx_tree *tree, const unsigned char *bytes, size_t length,
                             const vx_pickle_rules *rules, size_t *used, vx_value **value) {
    machine m = {.tree = tree, .rules = rules, .start = bytes, .at = bytes, .end = bytes + length};
    vindex_status status = VINDEX_OK;
    bool stopped = false;
    while (status == VINDEX_OK && !stopped) {
        const unsigned char *opcode = take(&m, 1);
        if (!opcode)
            status = fail_damaged(&m, "ends");
        else if (*opcode == STOP)
            stopped = true;
        else
            status = step(&m, *opcode);
    }
    if (status == VINDEX_OK && (m.depth != 1 || m.mark_count))
        status = fail_damaged(&m, "leaves something other than one value");
    if (status == VINDEX_OK) {
        *value = m.stack[0];
        *used = (size_t)(m.at - bytes);
    }
    vx_free(m.stack);
    vx_free(m.marks);
    vx_free(m.memo);
    return status;
}
