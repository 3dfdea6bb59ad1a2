#include "base/err.h"

static const struct {
    const char *name;
    const char *text;
    enum err_class class;
} g_errors[] = {
#define ERR(name, class, text) [ERR_##name] = {#name, text, ERR_CLASS_##class},
#include "base/err_codes.def"
#undef ERR
};

const char *err_name(db_err err)
{
    return (unsigned)err < ERR__COUNT ? g_errors[err].name : "UNKNOWN";
}

const char *err_text(db_err err)
{
    return (unsigned)err < ERR__COUNT ? g_errors[err].text : "unknown error";
}

enum err_class err_class(db_err err)
{
    return (unsigned)err < ERR__COUNT ? g_errors[err].class : ERR_CLASS_FATAL;
}
