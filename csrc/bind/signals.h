// Handling of Ctrl-C and other Python signals during long-running work.
#pragma once

namespace nnfast::bind {

// From now on the core checks for signals; see base/interrupt.h.
void watch_signals();

}  // namespace nnfast::bind
