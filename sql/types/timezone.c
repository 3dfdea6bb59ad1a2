/* Time zones. Fixed offsets are computed; SYSTEM and named zones ask ICU.
 *
 * Zones are made once per name and never freed, so that a pointer may be kept anywhere; they hang
 * in a list that only grows and is read without a lock. An ICU calendar is not to be shared between
 * threads, so a query takes its zone's lock; it holds it for a few instructions when the moment
 * lies in the span of constant offset that was asked for last (the common case: everything of one
 * summer), and for an ICU call else. */
#include "sql/types/timezone.h"

#include <pthread.h>
#include <stdatomic.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "sql/types/temporal.h"

enum { ZONE_NAME_MAX = 64, UNIX_DAY_0 = 719528, ZONES_MAX = 2048 };

/* An interval of constant offset that contains the moment last asked for. */
struct span {
    int64_t from; /* unix seconds, inclusive */
    int64_t to;   /* exclusive */
    int32_t offset_s;
};

struct timezone {
    struct timezone *next;
    char name[ZONE_NAME_MAX];
    bool fixed;
    int32_t offset_s; /* fixed */
    UCalendar *cal;   /* guarded by lock */
    struct span last; /* guarded by lock */
    pthread_mutex_t lock;
};

static struct timezone utc = {.name = "UTC", .fixed = true, .lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic(struct timezone *) zones; /* grows at the head only */
static _Atomic unsigned zone_count;
static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Of any number of digits; what is too large for an offset stays so. */
static const uint8_t *take_number(const uint8_t *p, const uint8_t *end, int32_t *ret)
{
    enum { TOO_LARGE = 10000 };
    int32_t n = 0;
    for (; p < end && is_digit(*p); p++) {
        n = n < TOO_LARGE ? n * 10 + (*p - '0') : n;
    }
    *ret = n;
    return p;
}

/* Between -13:59 and +14:00. MYSQL: any number of digits at both sides of the colon, also none
 * before it, but four characters in all (`+5:5`, `+:30`). */
static bool parse_offset(struct slice name, int32_t *ret)
{
    enum { LENGTH_MIN = 4 };
    const uint8_t *p = name.ptr;
    const uint8_t *end = p + name.len;
    int32_t hours;
    int32_t minutes;
    if (name.len < LENGTH_MIN || (*p != '+' && *p != '-')) {
        return false;
    }
    bool neg = *p == '-';
    p = take_number(p + 1, end, &hours);
    if (end - p < 2 || *p != ':' || take_number(p + 1, end, &minutes) != end) {
        return false;
    }
    int32_t offset = hours * 60 + minutes;
    if (minutes > 59 || offset > (neg ? 13 * 60 + 59 : 14 * 60)) {
        return false;
    }
    *ret = (neg ? -offset : offset) * 60;
    return true;
}

static struct timezone *find_known(struct slice name)
{
    for (struct timezone *z = atomic_load_explicit(&zones, memory_order_acquire); z != NULL;
         z = z->next) {
        if (slice_eq_nocase(slice_str(z->name), name)) {
            return z;
        }
    }
    return NULL;
}

static bool icu_open(struct timezone *z, struct slice id)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[ZONE_NAME_MAX];
    int32_t len = 0;
    for (size_t i = 0; i < id.len; i++) {
        wide[len++] = (UChar)id.ptr[i];
    }
    UChar canonical[ZONE_NAME_MAX];
    UBool system_id = false;
    ucal_getCanonicalTimeZoneID(wide, len, canonical, ZONE_NAME_MAX, &system_id, &status);
    if (U_FAILURE(status) || !system_id) {
        return false;
    }
    z->cal = ucal_open(wide, len, "en_US", UCAL_GREGORIAN, &status);
    return U_SUCCESS(status);
}

/* The rule of a TZ that names no zone, as POSIX writes them ("GMT-3", "<+0530>-5:30"), if it has no
 * summer time; false if it has one, or is nothing that the C library knows. */
static bool posix_offset(int32_t *ret)
{
    time_t now = time(NULL);
    struct tm local;
    tzset();
    if (daylight != 0 || localtime_r(&now, &local) == NULL) {
        return false;
    }
    *ret = (int32_t)local.tm_gmtoff;
    return true;
}

static pthread_once_t abbreviation_once = PTHREAD_ONCE_INIT;
static char abbreviation[ZONE_NAME_MAX] = "UTC";

static void find_abbreviation(void)
{
    time_t now = time(NULL);
    struct tm local;
    tzset();
    if (localtime_r(&now, &local) != NULL && local.tm_zone != NULL) {
        snprintf(abbreviation, sizeof(abbreviation), "%s", local.tm_zone);
    }
}

const char *timezone_system_abbreviation(void)
{
    pthread_once(&abbreviation_once, find_abbreviation);
    return abbreviation;
}

/* The machine's zone: TZ, or where /etc/localtime points. */
static struct slice system_zone_id(char *buffer, size_t size)
{
    const char *tz = getenv("TZ");
    if (tz != NULL && tz[0] != '\0') {
        return slice_str(tz[0] == ':' ? tz + 1 : tz);
    }
    char resolved[PATH_MAX];
    const char *path = realpath("/etc/localtime", resolved);
    const char *at = path == NULL ? NULL : strstr(path, "zoneinfo/");
    snprintf(buffer, size, "%s", at == NULL ? "UTC" : at + 9);
    return slice_str(buffer);
}

/* With zones_lock held. */
static struct timezone *zone_new(struct slice name, bool *ret_known)
{
    *ret_known = true;
    struct timezone *z = mem_calloc(1, sizeof(*z));
    if (z == NULL) {
        return NULL;
    }
    memcpy(z->name, name.ptr, name.len);
    pthread_mutex_init(&z->lock, NULL);
    if (parse_offset(name, &z->offset_s)) {
        z->fixed = true;
        int32_t minutes = (z->offset_s < 0 ? -z->offset_s : z->offset_s) / 60;
        snprintf(z->name, sizeof(z->name), "%c%02d:%02d", z->offset_s < 0 ? '-' : '+', minutes / 60,
                 minutes % 60);
        return z;
    }
    char buffer[256];
    bool system = slice_eq_nocase(name, SLICE_LIT("SYSTEM"));
    struct slice id = system ? system_zone_id(buffer, sizeof(buffer)) : name;
    if (system) {
        memcpy(z->name, "SYSTEM", 7);
    }
    if (slice_eq_nocase(id, SLICE_LIT("UTC")) || slice_eq_nocase(id, SLICE_LIT("Etc/UTC"))) {
        z->fixed = true;
        return z;
    }
    if (id.len < ZONE_NAME_MAX && icu_open(z, id)) {
        return z;
    }
    if (system) {
        if (!posix_offset(&z->offset_s)) { /* an odd TZ: UTC is better than no clock at all */
            z->offset_s = 0;
        }
        z->fixed = true;
        return z;
    }
    pthread_mutex_destroy(&z->lock);
    mem_free(z);
    *ret_known = false;
    return NULL;
}

db_err timezone_find(struct slice name, struct diag *diag, const struct timezone **ret_tz)
{
    struct timezone *z = find_known(name);
    if (z == NULL) {
        if (name.len == 0 || name.len >= ZONE_NAME_MAX) {
            goto unknown;
        }
        pthread_mutex_lock(&zones_lock);
        z = find_known(name);
        bool known = true;
        if (z == NULL && atomic_load(&zone_count) < ZONES_MAX) {
            z = zone_new(name, &known);
            /* "+2:00" is made as "+02:00", which may be there already. */
            struct timezone *same = z == NULL ? NULL : find_known(slice_str(z->name));
            if (same != NULL) {
                mem_free(z);
                z = same;
            } else if (z != NULL) {
                z->next = atomic_load(&zones);
                atomic_fetch_add(&zone_count, 1);
                atomic_store_explicit(&zones, z, memory_order_release);
            }
        }
        pthread_mutex_unlock(&zones_lock);
        if (z == NULL && !known) {
            goto unknown;
        }
        if (z == NULL) {
            return diag_set(diag, ERR_NOMEM, "no memory for a time zone");
        }
    }
    *ret_tz = z;
    return ERR_OK;
unknown:
    return diag_set_sql(diag, 1298, "HY000", "Unknown or incorrect time zone: '%.*s'",
                        SLICE_FMT(name));
}

const struct timezone *timezone_utc(void)
{
    return &utc;
}

const struct timezone *timezone_system(void)
{
    const struct timezone *tz = &utc;
    return timezone_find(SLICE_LIT("SYSTEM"), NULL, &tz) == ERR_OK ? tz : &utc;
}

const char *timezone_name(const struct timezone *tz)
{
    return tz->name;
}

/* With the zone's lock held: sets z->last to the span around the moment. */
static void icu_span(struct timezone *z, int64_t at)
{
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(z->cal, (UDate)at * 1000, &status);
    int32_t offset =
        ucal_get(z->cal, UCAL_ZONE_OFFSET, &status) + ucal_get(z->cal, UCAL_DST_OFFSET, &status);
    UDate when;
    struct span span = {INT64_MIN, INT64_MAX, offset / 1000};
    if (ucal_getTimeZoneTransitionDate(z->cal, UCAL_TZ_TRANSITION_PREVIOUS_INCLUSIVE, &when,
                                       &status)) {
        span.from = (int64_t)(when / 1000);
    }
    if (ucal_getTimeZoneTransitionDate(z->cal, UCAL_TZ_TRANSITION_NEXT, &when, &status)) {
        span.to = (int64_t)(when / 1000);
    }
    z->last = span;
}

static struct span span_at(const struct timezone *tz, int64_t at)
{
    if (tz->fixed) {
        return (struct span){INT64_MIN, INT64_MAX, tz->offset_s};
    }
    struct timezone *z =
        (struct timezone *)(uintptr_t)tz; /* the cache is not part of the zone's value */
    pthread_mutex_lock(&z->lock);
    if (at < z->last.from || at >= z->last.to) {
        icu_span(z, at);
    }
    struct span span = z->last;
    pthread_mutex_unlock(&z->lock);
    return span;
}

int32_t timezone_offset_at(const struct timezone *tz, int64_t unix_seconds)
{
    return span_at(tz, unix_seconds).offset_s;
}

bool timezone_to_unix(const struct timezone *tz, int64_t local, int64_t *ret_seconds,
                      uint32_t *ret_micro, bool *ret_gap)
{
    struct time_parts p;
    datetime_unpack(local, &p);
    if (p.month == 0 || p.day == 0) {
        return false;
    }
    int64_t as_utc = ((int64_t)date_to_days(p.year, p.month, p.day) - UNIX_DAY_0) * 86400 +
                     p.hour * 3600 + p.minute * 60 + p.second;
    bool gap = false;
    int64_t seconds;
    /* The offset before a change is tried first: it gives the first of two equal local times, and
     * shows a gap. */
    struct span early = span_at(tz, as_utc - 86400);
    seconds = as_utc - early.offset_s;
    if (early.to != INT64_MAX && seconds >= early.to) {
        struct span late = span_at(tz, early.to);
        int64_t other = as_utc - late.offset_s;
        if (other < early.to) { /* between the two: the clock skipped this time */
            gap = true;
            seconds = early.to;
        } else {
            seconds = other;
        }
    }
    *ret_seconds = seconds;
    *ret_micro = gap ? 0 : p.micro;
    if (ret_gap != NULL) {
        *ret_gap = gap;
    }
    return true;
}

bool timezone_from_unix(const struct timezone *tz, int64_t unix_seconds, uint32_t micro,
                        int64_t *ret_local)
{
    int64_t seconds =
        unix_seconds + timezone_offset_at(tz, unix_seconds) + (int64_t)UNIX_DAY_0 * 86400;
    return datetime_from_micros(seconds * US_PER_SECOND + micro, ret_local);
}

bool timestamp_from_local(const struct timezone *tz, int64_t local, int64_t *ret_utc, bool *ret_gap)
{
    if (local == 0) {
        *ret_utc = 0;
        return true;
    }
    int64_t seconds;
    uint32_t micro;
    if (!timezone_to_unix(tz, local, &seconds, &micro, ret_gap) || seconds < 1 ||
        seconds > INT32_MAX) {
        return false;
    }
    return timezone_from_unix(&utc, seconds, micro, ret_utc);
}

int timestamp_nearest(const struct timezone *tz, int64_t local, int64_t *ret_utc)
{
    struct time_parts p;
    int64_t seconds;
    uint32_t micro;
    int order = 0;
    if (local == 0) {
        *ret_utc = 0;
        return 0;
    }
    datetime_unpack(local, &p);
    if (p.month == 0) {
        local = datetime_make(p.year, 1, 1, 0, 0, 0, 0);
        order = 1;
    } else if (p.day == 0) {
        local = datetime_make(p.year, p.month, 1, 0, 0, 0, 0);
        order = 1;
    } else if (p.day > month_days(p.year, p.month)) { /* never of the last month */
        local = datetime_make(p.year, p.month + 1, 1, 0, 0, 0, 0);
        order = 1;
    }
    if (!timezone_to_unix(tz, local, &seconds, &micro, NULL) || seconds < 1) {
        seconds = 1;
        micro = 0;
        order = 1;
    } else if (seconds > INT32_MAX) {
        seconds = INT32_MAX;
        micro = US_PER_SECOND - 1;
        order = -1;
    }
    bool is = timezone_from_unix(&utc, seconds, micro, ret_utc);
    ASSERT(is);
    (void)is;
    return order;
}

int64_t timestamp_to_local(const struct timezone *tz, int64_t stored)
{
    if (stored == 0 || (tz->fixed && tz->offset_s == 0)) {
        return stored;
    }
    int64_t seconds;
    uint32_t micro;
    int64_t local;
    if (!timezone_to_unix(&utc, stored, &seconds, &micro, NULL) ||
        !timezone_from_unix(tz, seconds, micro, &local)) {
        return stored;
    }
    return local;
}
