// A thread-local variable of a few bytes that is read without a call, also in a module that Python loads.
#pragma once

#if defined(__linux__) && defined(__GNUC__)
#define NNF_THREAD_LOCAL thread_local __attribute__((tls_model("initial-exec")))
#else
#define NNF_THREAD_LOCAL thread_local
#endif
