/* The one place that knows how a table is written as text: quotes, line ends, headers, and numbers
 * that mean the same in every locale. Embeddings and labels are both read through it. */
#include "text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

vx_text vx_text_begin(const char *path, const vx_map *map, char separator) {
    const char *bytes = (const char *)map->bytes;
    size_t mark = map->length >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3) ? 3 : 0;
    return (vx_text){path, bytes + mark, bytes + map->length, 1, separator};
}

bool vx_text_line(vx_text *text) {
    while (text->at < text->end) {
        const char *at = text->at;
        if (*at == '\r' && at + 1 < text->end) at++;
        if (*at != '\n') return true;
        text->at = at + 1;
        text->line++;
    }
    return false;
}

/* Finds the closing quote of the cell that opens at text->at; NULL if there is none. */
static const char *closing_quote(vx_text *text) {
    const char *from = text->at + 1;
    while (from < text->end) {
        const char *quote = memchr(from, '"', (size_t)(text->end - from));
        if (!quote) return NULL;
        for (const char *c = from; c < quote; c++) text->line += *c == '\n';
        if (quote + 1 == text->end || quote[1] != '"') return quote;
        from = quote + 2;
    }
    return NULL;
}

/* Where a bare cell ends: at a separator, a line end or the end. */
static const char *bare_end(const vx_text *text) {
    const char *at = text->at;
    if (!text->separator) {
        at = at < text->end ? memchr(at, '\n', (size_t)(text->end - at)) : NULL;
        return at ? at : text->end;
    }
    while (at < text->end && *at != text->separator && *at != '\n') at++;
    return at;
}

vindex_status vx_text_cell(vx_text *text, vx_cell *cell) {
    const char *after;
    cell->quoted = text->separator && text->at < text->end && *text->at == '"';
    if (cell->quoted) {
        size_t line = text->line;
        const char *quote = closing_quote(text);
        if (!quote)
            return vx_fail(
                VINDEX_ERR_FORMAT,
                "%s: line %zu: a quote opens and is never closed; close it, or write \"\" "
                "for a quote inside quotes",
                text->path, line);
        cell->text = text->at + 1;
        cell->length = (size_t)(quote - cell->text);
        after = quote + 1;
    } else {
        after = bare_end(text);
        cell->text = text->at;
        cell->length = (size_t)(after - text->at);
        bool line_ends = after == text->end || *after == '\n';
        if (line_ends && cell->length && after[-1] == '\r') cell->length--;
    }
    if (cell->quoted && after < text->end && *after == '\r') after++;
    cell->last = after == text->end || *after == '\n';
    if (!cell->last && *after != text->separator)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: line %zu: text follows a closing quote; put the whole cell in quotes",
                       text->path, text->line);
    if (after < text->end) {
        text->line += *after == '\n';
        after++;
    }
    text->at = after;
    return VINDEX_OK;
}

vindex_status vx_cell_keep(const vx_text *text, const vx_cell *cell, vx_pool *pool) {
    if (memchr(cell->text, 0, cell->length))
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: it holds a zero byte, so it is not text; give a text file or the ending "
            "that fits",
            text->path);
    if (!vx_pool_add(pool, cell->text, cell->length))
        return vx_fail_memory(cell->length, 1, text->path);
    if (!cell->quoted) return VINDEX_OK;
    char *start = pool->text + pool->starts[pool->count - 1], *to = start;
    for (const char *from = start; *from; from++) {
        *to++ = *from;
        from += from[0] == '"' && from[1] == '"';
    }
    *to = 0;
    pool->length = (size_t)(to + 1 - pool->text);
    return VINDEX_OK;
}

vindex_status vx_text_columns(vx_text *text, vx_pool *columns) {
    vx_cell cell;
    do {
        VX_TRY(vx_text_cell(text, &cell));
        VX_TRY(vx_cell_keep(text, &cell, columns));
    } while (!cell.last);
    return VINDEX_OK;
}

bool vx_is_index(const char *word) {
    return *word && !word[strspn(word, "0123456789")];
}

/* The first columns, for an error. */
static void list_columns(const vx_pool *columns, char *list, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < columns->count && used < size; i++) {
        char name[VX_EXCERPT];
        const char *text = vx_pool_get(columns, i);
        vx_excerpt(text, strlen(text), name);
        if (i == 8) {
            snprintf(list + used, size - used, ", ... (%zu in all)", columns->count);
            return;
        }
        used += (size_t)snprintf(list + used, size - used, "%s'%s'", i ? ", " : "", name);
    }
}

vindex_status vx_column_find(const char *path, const vx_pool *columns, bool has_header,
                             const char *word, size_t *column) {
    if (has_header)
        for (size_t i = 0; i < columns->count; i++)
            if (!strcmp(vx_pool_get(columns, i), word)) {
                *column = i;
                return VINDEX_OK;
            }
    char shown[VX_EXCERPT];
    vx_excerpt(word, strlen(word), shown);
    if (vx_is_index(word)) {
        unsigned long long index = strtoull(word, NULL, 10);
        if (index < columns->count) {
            *column = (size_t)index;
            return VINDEX_OK;
        }
        return vx_fail(VINDEX_ERR_NOT_FOUND,
                       "%s: column %s: there are %zu columns; give an index from 0 to %zu", path,
                       shown, columns->count, columns->count - 1);
    }
    if (!has_header)
        return vx_fail(VINDEX_ERR_NOT_FOUND,
                       "%s: column '%s': the table has no header; give an index from 0 to %zu",
                       path, shown, columns->count - 1);
    char list[512];
    list_columns(columns, list, sizeof list);
    return vx_fail(VINDEX_ERR_NOT_FOUND,
                   "%s: column '%s': the header has %s; give one of these or an index from 0", path,
                   shown, list);
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A number taken apart: mantissa x 10^exponent, exact unless digits were dropped. */
typedef struct decimal {
    uint64_t mantissa;
    int64_t exponent;
    bool dropped;
} decimal;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *take_digits(const char *at, const char *end, bool fraction, decimal *number) {
    for (; at < end && is_digit(*at); at++) {
        if (number->mantissa < UINT64_MAX / 10 - 1)
            number->mantissa = number->mantissa * 10 + (uint64_t)(*at - '0');
        else
            number->dropped = true;
        number->exponent -= fraction;
    }
    return at;
}

/* digits[.digits][e[+-]digits] and nothing else, with a digit before the e. */
static bool take_apart(const char *at, const char *end, decimal *number) {
    *number = (decimal){0};
    const char *start = at;
    at = take_digits(at, end, false, number);
    int64_t digits = at - start;
    if (at < end && *at == '.') {
        start = ++at;
        at = take_digits(at, end, true, number);
        digits += at - start;
    }
    if (!digits) return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        bool negative = ++at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) at++;
        if (at == end) return false;
        int64_t exponent = 0;
        for (; at < end && is_digit(*at); at++)
            exponent = VX_MIN(exponent * 10 + (*at - '0'), 1000000); /* zero or infinity already */
        number->exponent += negative ? -exponent : exponent;
    }
    return at == end;
}

/* Through a double, where that rounds only once: both factors exact, and the result not half-way
 * between two float32, which the exact number may miss by less than a double shows. */
static bool by_double(const decimal *number, float *value) {
    if (number->dropped || number->mantissa > UINT64_C(1) << 53) return false;
    if (number->exponent < -22 || number->exponent > 22) return false;
    double wide = (double)number->mantissa;
    wide =
        number->exponent < 0 ? wide / powers[-number->exponent] : wide * powers[number->exponent];
    uint64_t bits;
    memcpy(&bits, &wide, sizeof bits);
    if ((bits & 0x1fffffffu) == 0x10000000u || (wide < FLT_MIN && wide > 0)) return false;
    *value = (float)wide;
    return true;
}

static bool same_word(const char *at, const char *end, const char *word) {
    for (; at < end && *word; at++, word++)
        if ((*at | 0x20) != *word) return false;
    return at == end && !*word;
}

/* A number without its sign. */
static bool read_magnitude(const char *at, const char *end, float *value) {
    enum { LONGEST = 1024 }; /* a double written out in full has less than 800 digits */
    decimal number;
    if (take_apart(at, end, &number)) {
        if (by_double(&number, value)) return true;
        char copy[LONGEST + 1];
        size_t length = (size_t)(end - at);
        if (length > LONGEST) return false;
        memcpy(copy, at, length);
        copy[length] = 0;
        *value = strtof(copy, NULL);
        return true;
    }
    bool infinite = same_word(at, end, "inf") || same_word(at, end, "infinity");
    *value = infinite ? INFINITY : NAN;
    return infinite || same_word(at, end, "nan");
}

bool vx_cell_number(const vx_cell *cell, float *value) {
    const char *at = cell->text, *end = at + cell->length;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (!read_magnitude(at, end, value)) return false;
    if (negative) *value = -*value;
    return true;
}

const char *vx_excerpt(const char *text, size_t length, char excerpt[VX_EXCERPT]) {
    enum { ROOM = VX_EXCERPT - 4 }; /* for the dots and the zero */
    bool cut = length > ROOM;
    if (cut) {
        length = ROOM;
        while (length && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        excerpt[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    memcpy(excerpt + length, cut ? "..." : "", cut ? 4 : 1);
    return excerpt;
}

vindex_status vx_cell_write(vx_writer *file, const char *text, char separator) {
    const char special[] = {separator, '"', '\n', '\r', 0};
    size_t length = strlen(text);
    if (!text[strcspn(text, special)]) return vx_writer_write(file, text, length);
    VX_TRY(vx_writer_write(file, "\"", 1));
    for (const char *at = text; *at;) {
        size_t part = strcspn(at, "\"");
        VX_TRY(vx_writer_write(file, at, part));
        at += part;
        if (*at == '"') {
            VX_TRY(vx_writer_write(file, "\"\"", 2));
            at++;
        }
    }
    return vx_writer_write(file, "\"", 1);
}

vindex_status vx_number_write(vx_writer *file, float value) {
    char digits[32];
    int length = isnan(value) ? snprintf(digits, sizeof digits, "nan")
                              : snprintf(digits, sizeof digits, "%.9g", (double)value);
    return vx_writer_write(file, digits, (size_t)length);
}
