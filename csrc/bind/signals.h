// Ctrl-C, and whatever else Python does on a signal, in the middle of long work.
#pragma once

namespace nnfast::bind {

// From now on the core looks for signals; see base/interrupt.h.
void watch_signals();

}  // namespace nnfast::bind
