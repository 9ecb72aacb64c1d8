#include "plan/build/memory.h"

#include <algorithm>

#include "base/aligned.h"

namespace nnfast::plan {

size_t place_buffers(ById<BufferId, Buffer>& buffers) {
  std::vector<BufferId> order;
  for (const BufferId id : buffers.ids()) order.push_back(id);
  std::stable_sort(order.begin(), order.end(),
                   [&](BufferId a, BufferId b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<BufferId> placed;  // by offset
  size_t arena = 0;
  for (const BufferId index : order) {
    Buffer& buffer = buffers[index];
    const size_t bytes = align_up(buffer.bytes);
    size_t offset = 0;
    for (const BufferId other_index : placed) {
      const Buffer& other = buffers[other_index];
      if (other.last < buffer.first || buffer.last < other.first) continue;
      if (offset + bytes <= other.offset) break;
      offset = std::max(offset, other.offset + align_up(other.bytes));
    }
    buffer.offset = offset;
    arena = std::max(arena, offset + bytes);
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](size_t at, BufferId i) { return at < buffers[i].offset; });
    placed.insert(position, index);
  }
  return arena;
}

}  // namespace nnfast::plan
