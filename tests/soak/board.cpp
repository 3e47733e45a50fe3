// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/board.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace npu::soak {

// Zero is how a page begins, and a worker inherits the descriptor.
Board::Board(uint32_t workers) : descriptor_(memfd_create("soak", 0)), workers_(workers) {
  if (ftruncate(descriptor_, static_cast<off_t>(workers_ * sizeof(Page))) != 0) std::abort();
  map();
}

Board::Board(int descriptor, uint32_t workers) : descriptor_(descriptor), workers_(workers) {
  map();
}

Board::~Board() {
  munmap(pages_, workers_ * sizeof(Page));
  close(descriptor_);
}

void Board::map() {
  void* const at =
      mmap(nullptr, workers_ * sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (at == MAP_FAILED) std::abort();
  pages_ = static_cast<Page*>(at);
}

}  // namespace npu::soak
