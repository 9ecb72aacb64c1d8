// A small thread-local variable that is read without a function call, even in a module loaded by
// Python.
#pragma once

#if defined(__linux__) && defined(__GNUC__)
#define NNF_THREAD_LOCAL thread_local __attribute__((tls_model("initial-exec")))
#else
#define NNF_THREAD_LOCAL thread_local
#endif
