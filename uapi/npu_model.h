/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a client finds the device model. Two ways, one protocol (npu_wire.h):
 *
 * Daemon      npu-modeld listens on the Unix stream socket <dir>/<spec>.sock, where <dir> is $XDG_RUNTIME_DIR/npu, or /tmp/npu-<uid> when that variable is unset. The
 *             directory belongs to the user and has mode 0700; a client refuses one that does not. `npu-modeld --spec SPEC --socket PATH --idle-exit SECONDS`: it prints one line
 *             "ready PATH" to stdout when clients may connect, takes the lock <PATH>.lock for its life, ends with status 3 when another server holds that lock,
 *             and ends with status 0 after SECONDS without a client (0 = never).
 * In process  libnpu_model.so exports npu_model_connect: it starts a server inside the process (one for each spec, shared by later calls) and returns a connected socket. The
 *             server's threads end when the last such socket is closed.
 *
 * Sleeping. Besides the call WAIT a client may sleep on a completion by futex (shared, not private) on the low 32 bits of npu_queue_ctrl.completed: set interrupt_at, seq_cst fence, load
 * completed again, FUTEX_WAIT. The server wakes all sleepers of that word whenever completed has reached interrupt_at, and when the queue's state changes.
 *
 * A spec is PROFILE or PROFILE*COUNT: a file name without ".toml" in the profile directory, and how many such devices (1..16). In a socket's name '*' is written 'x'.
 */
#ifndef NPU_UAPI_MODEL_H
#define NPU_UAPI_MODEL_H

#define NPU_MODEL_DEFAULT_SPEC "maia100"
#define NPU_MODEL_MAX_DEVICES 16
#define NPU_MODEL_LIBRARY "libnpu_model.so.1"
#define NPU_MODEL_CONNECT "npu_model_connect"

/* Returns a connected socket (close-on-exec), or -errno; then error holds a sentence with cause and remedy. */
typedef int (*npu_model_connect_fn)(const char *spec, char *error, unsigned long error_bytes);

#endif
