/* An engine of sql/sql.h without SQL, for wire's tests and benches: it answers a few made-up
 * statements whose results exercise the protocol. Never linked into the server.
 *
 *   one                      one row, one integer
 *   rows N                   N rows of (int, text, NULL or double)
 *   types                    one row with every kind of cell
 *   big N                    one row with a text of N bytes
 *   len ...                  the length of the statement
 *   ok                       an OK packet with all fields
 *   multi                    two results
 *   err                      1064
 *   sleep N                  N ms, 1317 when it is cancelled
 *   timeout N                wait_timeout becomes N
 *   ? ? ...                  (prepared) the parameters as they came
 *   whoami                   user@host of the session
 *
 * Accounts: root without a password (loopback only) and the administrator, sha and longer
 * (caching_sha2_password), two (with a second password that nobody knows), native, locked,
 * tlsonly; counted, whose wrong log-ins are. */
#ifndef SKEIN_WIRE_TESTING_FAKE_ENGINE_H
#define SKEIN_WIRE_TESTING_FAKE_ENGINE_H

#include "sql/sql.h"

struct fake_limits {
    uint64_t max_connections;
    uint32_t connect_timeout_s;
    uint32_t max_allowed_packet;
    uint32_t net_write_timeout_s;
    size_t kept_max; /* of sql_session_keep; 0: any */
};

struct sql_engine *fake_engine_new(const struct fake_limits *limits);
/* No session may be open. */
void fake_engine_free(struct sql_engine *engine);
unsigned fake_engine_sessions(const struct sql_engine *engine);
unsigned fake_engine_wrong_logins(const struct sql_engine *engine);
/* Whether the session of a connection is in `sleep`. */
bool fake_engine_sleeps(struct sql_engine *engine, uint64_t id);
/* KILL of a session by its connection id; false: there is none. */
bool fake_engine_kill(struct sql_engine *engine, uint64_t id, bool connection);

#define FAKE_PASSWORD "secret"
#define FAKE_LONG_PASSWORD                                                                         \
    "a very long password of more than thirty-two and even sixty-four bytes, to be sure of it"

#endif
