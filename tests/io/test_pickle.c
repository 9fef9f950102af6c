/* Pickles by their opcodes, good ones and bad ones. */
#include "io/pickle.h"

#include "../harness.h"

static const int meaning = 7;
static const vx_pickle_name names[] = {{"m", "f", &meaning}};
static vx_tree tree;

/* Calls give what they were called with. */
static vindex_status call(void *context, const vx_pickle_name *name, const vx_value *arguments,
                          vx_value **result) {
    ck_assert_ptr_eq(context, &tree);
    ck_assert_ptr_eq(name->meaning, &meaning);
    *result = vx_value_integer(&tree, VX_INT, (int64_t)arguments->count);
    return VINDEX_OK;
}

static vindex_status persistent(void *context, const vx_value *id, vx_value **result) {
    ck_assert_ptr_eq(context, &tree);
    *result = vx_value_new(&tree, VX_LIST);
    ck_assert(vx_value_append(&tree, *result, vx_value_integer(&tree, id->kind, id->integer)));
    return VINDEX_OK;
}

/* Nothing that takes a state is made here. */
static vindex_status build(void *context, vx_value *object, const vx_value *state) {
    (void)object, (void)state;
    ck_assert_ptr_eq(context, &tree);
    ck_abort_msg("a value that takes no state was given one");
}

static vindex_status read_bytes(const void *bytes, size_t length, size_t *used, vx_value **value) {
    const vx_pickle_rules rules = {names, 1, call, build, persistent, &tree};
    return vx_pickle_read(&tree, bytes, length, &rules, used, value);
}

/* The value as text: 1, 1.5, 'word', b2 (bytes and their number), [..], (..), {..}, None. */
static size_t show(const vx_value *value, char *text) {
    size_t used = 0;
    char open = value->kind == VX_LIST ? '[' : value->kind == VX_TUPLE ? '(' : '{';
    switch (value->kind) {
    case VX_INT:
        return (size_t)sprintf(text, "%lld", (long long)value->integer);
    case VX_BOOL:
        return (size_t)sprintf(text, "%s", value->integer ? "True" : "False");
    case VX_FLOAT:
        return (size_t)sprintf(text, "%.17g", value->number);
    case VX_TEXT:
        return (size_t)sprintf(text, "'%.*s'", (int)value->length, value->text);
    case VX_BYTES:
        return (size_t)sprintf(text, "b%zu", value->length);
    case VX_LIST:
    case VX_TUPLE:
    case VX_DICT:
        text[used++] = open;
        for (size_t i = 0; i < value->count; i++) {
            if (i) text[used++] = open == '{' && i % 2 ? ':' : ',';
            used += show(value->items[i], text + used);
        }
        text[used++] = (char)(open + (open == '(' ? 1 : 2));
        text[used] = 0;
        return used;
    default:
        return (size_t)sprintf(text, "None");
    }
}

#define PICKLE(text, bytes) \
    { text, bytes, sizeof(bytes) - 1 }

static const struct sample {
    const char *text, *bytes;
    size_t length;
} good[] = {
    PICKLE("None", "\x80\2N."),
    PICKLE("True", "\x80\2\x88."),
    PICKLE("False", "\x89."),
    PICKLE("255", "K\xff."),
    PICKLE("65535", "M\xff\xff."),
    PICKLE("-2", "J\xfe\xff\xff\xff."),
    PICKLE("0", "\x8a\0."),
    PICKLE("255", "\x8a\2\xff\0."),
    PICKLE("-1", "\x8a\1\xff."),
    PICKLE("-128", "\x8b\1\0\0\0\x80."),
    PICKLE("9223372036854775807", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."),
    PICKLE("b9", "\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0."),
    PICKLE("1.5", "G\x3f\xf8\0\0\0\0\0\0."),
    PICKLE("'ab'", "X\2\0\0\0ab."),
    PICKLE("'ab'", "\x8c\2ab."),
    PICKLE("'ab'", "\x8d\2\0\0\0\0\0\0\0ab."),
    PICKLE("'ab'", "U\2ab."),
    PICKLE("'ab'", "T\2\0\0\0ab."),
    PICKLE("b2", "C\2ab."),
    PICKLE("b2", "B\2\0\0\0ab."),
    PICKLE("b2", "\x8e\2\0\0\0\0\0\0\0ab."),
    PICKLE("[1,2,3]", "](K\1K\2eK\3a."),
    PICKLE("{'a':1,'b':[],3:()}", "}(U\1aK\1U\1b]uK\3)s."),
    PICKLE("((2,3),(4,5,6),(7,8,9,10))", "K\2K\3\x86K\4K\5K\6\x87(K\7K\x08K\tK\nt\x87."),
    PICKLE("(1)", "K\1\x85."),
    PICKLE("[[],[]]", "](]q\0h\0e."),
    PICKLE("['x','x']", "](U\1x\x94j\0\0\0\0e."),
    PICKLE("[5,5]", "](K\5r\1\0\0\0h\1e."), /* some picklers count from 1 */
    PICKLE("{}", "}K\1b."),                 /* attributes of a dictionary */
    PICKLE("2", "cm\nf\nK\1K\2\x86R."),
    PICKLE("1", "\x80\4\x95\x0b\0\0\0\0\0\0\0\x8c\1m\x8c\1f\x93K\1\x85R."),
    PICKLE("[3]", "K\3Q."),
    PICKLE("1", "K\1K\2"
                "0."),
    PICKLE("1", "K\1(K\2K\3"
                "1."),
};

START_TEST(plain_values) {
    for (size_t i = 0; i < VX_COUNT(good); i++) {
        tree = vx_tree_begin("a", 100);
        vx_value *value;
        size_t used;
        char text[256];
        ck_ok(read_bytes(good[i].bytes, good[i].length, &used, &value));
        ck_assert_uint_eq(used, good[i].length);
        show(value, text);
        ck_assert_str_eq(text, good[i].text);
        vx_tree_free(&tree);
    }
}
END_TEST

START_TEST(only_the_first_pickle_is_taken) {
    tree = vx_tree_begin("a", 100);
    vx_value *value;
    size_t used;
    ck_ok(read_bytes("K\1.K\2.", 6, &used, &value));
    ck_assert_uint_eq(used, 3);
    ck_assert_int_eq(value->integer, 1);
    vx_tree_free(&tree);
}
END_TEST

static const struct bad {
    const char *text;
    struct sample pickle;
    vindex_status status;
} bad[] = {
#define BAD(status, text, bytes) \
    { text, PICKLE(NULL, bytes), status }
    BAD(VINDEX_ERR_UNSUPPORTED, "names os.system", "cos\nsystem\n."),
    BAD(VINDEX_ERR_UNSUPPORTED, "names m.g", "cm\ng\n."),
    BAD(VINDEX_ERR_UNSUPPORTED, "names mm.f", "cmm\nf\n."),
    BAD(VINDEX_ERR_UNSUPPORTED, "names os.system", "\x8c\2os\x8c\6system\x93."),
    BAD(VINDEX_ERR_UNSUPPORTED, "opcode 0x81", "cm\nf\n)\x81."),
    BAD(VINDEX_ERR_UNSUPPORTED, "opcode 0x69", "(im\nf\n."),
    BAD(VINDEX_ERR_UNSUPPORTED, "opcode 0x6f", "(cm\nf\no."),
    BAD(VINDEX_ERR_UNSUPPORTED, "opcode 0x82", "\x82\1."),
    BAD(VINDEX_ERR_UNSUPPORTED, "opcode 0x50 at byte 0", "Pid\n."),
    BAD(VINDEX_ERR_UNSUPPORTED, "sets attributes", "]K\1b."),
    BAD(VINDEX_ERR_VERSION, "protocol 6", "\x80\6N."),
    BAD(VINDEX_ERR_VERSION, "protocol 1", "\x80\1N."),
    BAD(VINDEX_ERR_FORMAT, "calls what is no function", "K\1)R."),
    BAD(VINDEX_ERR_FORMAT, "calls what is no function", "cm\nf\nK\1R."),
    BAD(VINDEX_ERR_FORMAT, "names something by what is no text", "K\1K\2\x93."),
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "a."),
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "]a."),
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "](K\1a."), /* not across a mark */
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "K\1\x86."),
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "q\0."),
    BAD(VINDEX_ERR_FORMAT, "more values than it made", "0."),
    BAD(VINDEX_ERR_FORMAT, "a mark it did not make", "]e."),
    BAD(VINDEX_ERR_FORMAT, "a mark it did not make", "t."),
    BAD(VINDEX_ERR_FORMAT, "no list or dictionary", ")K\1a."),
    BAD(VINDEX_ERR_FORMAT, "no list or dictionary", "}K\1a."),
    BAD(VINDEX_ERR_FORMAT, "no list or dictionary", "}(K\1u."),
    BAD(VINDEX_ERR_FORMAT, "no list or dictionary", "]K\1K\1s."),
    BAD(VINDEX_ERR_FORMAT, "a gap in its memo", "Nr\xff\xff\xff\xff."),
    BAD(VINDEX_ERR_FORMAT, "a gap in its memo", "Nq\2."),
    BAD(VINDEX_ERR_FORMAT, "did not put there", "h\0."),
    BAD(VINDEX_ERR_FORMAT, "did not put there", "Nq\1h\0."),
    BAD(VINDEX_ERR_FORMAT, "did not put there", "Nq\0j\0\0\0\1."),
    BAD(VINDEX_ERR_FORMAT, "other than one value", "."),
    BAD(VINDEX_ERR_FORMAT, "other than one value", "K\1K\2."),
    BAD(VINDEX_ERR_FORMAT, "other than one value", "K\1(."),
    BAD(VINDEX_ERR_FORMAT, "ends within a text",
        "X\xff\xff\xff\xff"
        "a."),
    BAD(VINDEX_ERR_FORMAT, "ends within a text",
        "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
        "a."),
    BAD(VINDEX_ERR_FORMAT, "ends within a number",
        "\x8b\xff\xff\xff\x7f"
        "a."),
    BAD(VINDEX_ERR_FORMAT, "ends within a name", "cos\nsystem"),
    BAD(VINDEX_ERR_FORMAT, "ends at byte 0", ""),
};

START_TEST(what_is_not_plain_is_refused) {
    for (size_t i = 0; i < VX_COUNT(bad); i++) {
        tree = vx_tree_begin("a.pt", 100);
        vx_value *value;
        size_t used;
        ck_fails(bad[i].status, bad[i].text,
                 read_bytes(bad[i].pickle.bytes, bad[i].pickle.length, &used, &value));
        ck_assert(strstr(vindex_last_error(), "a.pt: ") == vindex_last_error());
        vx_tree_free(&tree);
    }
}
END_TEST

START_TEST(a_pickle_cut_anywhere) {
    for (size_t i = 0; i < VX_COUNT(good); i++)
        for (size_t length = 0; length < good[i].length; length++) {
            tree = vx_tree_begin("a", 100);
            vx_value *value;
            size_t used;
            /* Just its size, so that a sanitizer sees a read behind the end. */
            char *bytes = malloc(length + 1);
            memcpy(bytes, good[i].bytes, length);
            char *exact = realloc(bytes, length ? length : 1);
            vindex_status status = read_bytes(exact, length, &used, &value);
            ck_assert(status != VINDEX_OK);
            free(exact);
            vx_tree_free(&tree);
        }
}
END_TEST

START_TEST(memory_is_granted_up_to_a_limit) {
    enum { LENGTH = 100000 };
    static const char opcodes[] = {']', '}', 'K', '('};
    for (size_t k = 0; k < sizeof opcodes; k++) {
        tree = vx_tree_begin("a.pt", 100);
        tree.limit = 1 << 16;
        char *bytes = malloc(LENGTH);
        memset(bytes, opcodes[k], LENGTH);
        vx_value *value;
        size_t used;
        vindex_status status = read_bytes(bytes, LENGTH, &used, &value);
        ck_assert(status == VINDEX_ERR_UNSUPPORTED || status == VINDEX_ERR_FORMAT);
        ck_assert(strstr(vindex_last_error(), "memory") || strstr(vindex_last_error(), "deep"));
        free(bytes);
        vx_tree_free(&tree);
    }
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    static const char bytes[] = "}(U\1a](K\1K\2e\x94U\1bK\1K\2\x86\x94"
                                "U\1ccm\nf\n)Ru.";
    vindex_status status = VINDEX_ERR_MEMORY;
    for (long after = 0; status != VINDEX_OK; after++) {
        tree = vx_tree_begin("a", 100);
        vx_value *value;
        size_t used;
        vx_alloc_fail_after(after);
        status = read_bytes(bytes, sizeof bytes - 1, &used, &value);
        vx_alloc_fail_after(-1);
        ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
        vx_tree_free(&tree);
    }
}
END_TEST

TEST_MAIN("io/pickle", plain_values, only_the_first_pickle_is_taken, what_is_not_plain_is_refused,
          a_pickle_cut_anywhere, memory_is_granted_up_to_a_limit, memory_may_run_out_anywhere)
