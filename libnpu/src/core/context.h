// SPDX-License-Identifier: Apache-2.0
// Context: an address space with the memory, queues, modules and events in it.
//
// What work of queues may still use is not given back at once but retired: with a note of how far each busy queue has to come first.
//
// Thread safety: all functions. Lock order: retire_mutex_, then queues_mutex_, then the mutex of a queue.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "libnpu/src/core/blob.h"
#include "libnpu/src/core/children.h"
#include "libnpu/src/core/code_cache.h"
#include "libnpu/src/core/loader.h"
#include "libnpu/src/core/memory.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/vm.h"

namespace npu {

class Callbacks;
class Device;

struct RetiredModule {
  uint32_t number = 0;
};
using RetiredBuffers = std::vector<std::unique_ptr<Buffer>>;
// The second one gives its memory back by going out of scope.
using Retired = std::variant<Memory::Detached, std::shared_ptr<void>, RetiredModule>;

// Where a fault happened, in words of the blob.
struct FaultPlace {
  std::string kernel;
  std::string file;
  uint32_t line = 0;
  std::string message;  // of an assertion with a text
};

class Context final : public Object {
 public:
  static constexpr Kind kKind = Kind::kContext;

  static Result<Ref<Context>> create(Ref<Device> device);

  Device& device() const { return *device_; }
  Vm& vm() const { return *vm_; }
  Memory& memory() { return memory_; }
  Loader& loader() { return loader_; }
  CodeCache& code_cache() { return code_cache_; }
  Children& children() { return children_; }
  Callbacks& callbacks() { return *callbacks_; }

  // |counted|: against the context's limit.
  Result<Ref<Queue>> create_queue(RingOptions options, bool counted = true);
  void forget_queue(Queue* queue);
  // Makes the device look at the words that its queues wait for.
  void ring_any();
  // The eventfd |fd| is added to when the word of the object is at least |value|, at once if a queue of this context was it; or for no reason.
  Status watch_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd, Watch* watch);

  // Words of semaphore objects, which lie in no allocation.
  void add_word(uint64_t dva);
  void remove_word(uint64_t dva);
  // NPU_ERROR_INVALID_ADDRESS unless queues may wait for the word there.
  Status check_word(uint64_t dva, const char* what, bool for_writing = false);

  // Gives |item| back once all work submitted before has ended.
  void retire(Retired item);
  // Gives back what has become free.
  void collect();

  // Memory of |peer| may be mapped here from now on.
  void enable_peer(uint64_t peer_handle);
  bool has_peer(uint64_t peer_handle);

  void remember_image(uint32_t module, std::shared_ptr<const Image> image);
  // Null: no module has that number.
  std::shared_ptr<const Image> image_of(uint32_t module);
  // Where the kernels' messages go.
  void set_print_sink(const PrintSink& sink);
  PrintSink print_sink();
  FaultPlace place_of(const Fault& fault);

  std::vector<Ref<Queue>> all_queues() { return some_queues(SIZE_MAX); }
  // Whether a semaphore object's word is there.
  bool is_word(uint64_t dva);

  void end(HandleTable& handles) override;

 private:
  struct QueuePoint {
    Ref<Queue> queue;
    uint64_t value = 0;
  };
  struct Batch {
    std::vector<QueuePoint> points;
    std::vector<Retired> items;
  };

  Context(Ref<Device> device, std::unique_ptr<Vm> vm);
  ~Context() override;
  std::vector<QueuePoint> busy_points();
  std::vector<Ref<Queue>> some_queues(size_t most);
  void collect_locked(std::vector<Retired>* out);
  void give_back(std::vector<Retired> items);
  bool is_blamed(uint32_t module);

  const Ref<Device> device_;
  const std::unique_ptr<Vm> vm_;
  Memory memory_;
  Loader loader_;
  CodeCache code_cache_;
  Children children_;
  const std::unique_ptr<Callbacks> callbacks_;

  std::mutex retire_mutex_;  // of what follows
  bool ended_ = false;
  std::deque<Batch> batches_;

  std::mutex queues_mutex_;
  std::vector<Queue*> queues_;  // each takes itself off in its close()
  std::vector<Queue*> uncounted_;

  std::mutex peers_mutex_;
  std::set<uint64_t> peers_;  // handles, which are never given out twice

  std::mutex words_mutex_;
  std::unordered_set<uint64_t> words_;

  std::mutex images_mutex_;
  std::map<uint32_t, std::shared_ptr<const Image>> images_;  // by the module's number in the VM

  std::mutex print_mutex_;  // of print_sink_
  PrintSink print_sink_;
};

}  // namespace npu
