/* What gives the same whenever it is run within a statement that changes nothing. */
#ifndef SKEIN_SQL_OPT_STEADY_H
#define SKEIN_SQL_OPT_STEADY_H

#include "sql/opt/plan.h"

/* Does a scan read the same rows whenever it is run, and compute the same VIRTUAL columns? Its
 * conditions may vary. */
bool plan_scan_is_steady(const struct scan_spec *s);

#endif
