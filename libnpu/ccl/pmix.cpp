// SPDX-License-Identifier: Apache-2.0
// The client of a PMIx server (mpirun, srun). All calls into its library are made by a thread of their own, since none of them has a deadline that can be relied on: a server that hangs is left, with its thread.
#include <pmix.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/id.h"
#include "libnpu/ccl/loaded_library.h"
#include "libnpu/ccl/world.h"

namespace npu::ccl {
namespace {

constexpr const char* kLibrary = "libpmix.so.2";
constexpr auto kRetry = std::chrono::milliseconds(20);
constexpr int kAnswerSeconds = 1;  // for one answer of a server that does not hang
// For the thread to come to its end: a process that ends between init and finalize counts as failed.
constexpr auto kGrace = std::chrono::seconds(2 * kAnswerSeconds);
using Clock = std::chrono::steady_clock;

struct Library : LoadedLibrary {
  using LoadedLibrary::LoadedLibrary;
  decltype(&PMIx_Init) init = nullptr;
  decltype(&PMIx_Finalize) finalize = nullptr;
  decltype(&PMIx_Put) put = nullptr;
  decltype(&PMIx_Commit) commit = nullptr;
  decltype(&PMIx_Get) get = nullptr;
  decltype(&PMIx_Error_string) error_string = nullptr;
  decltype(&PMIx_Value_destruct) destruct = nullptr;
};

// Never unloaded: it has threads.
const Library& library() {
  static const Library* const loaded = [] {
    auto* made = new Library(kLibrary, "the library of PMIx", "libpmix2");
    made->find("PMIx_Init", &made->init);
    made->find("PMIx_Finalize", &made->finalize);
    made->find("PMIx_Put", &made->put);
    made->find("PMIx_Commit", &made->commit);
    made->find("PMIx_Get", &made->get);
    made->find("PMIx_Error_string", &made->error_string);
    made->find("PMIx_Value_destruct", &made->destruct);
    return made;
  }();
  return *loaded;
}

struct ValueCloser {
  void operator()(pmix_value_t* value) const {
    library().destruct(value);
    std::free(value);
  }
};
using ValuePtr = std::unique_ptr<pmix_value_t, ValueCloser>;

// One call of npuCclGetWorld, as its two threads see it.
struct Exchange {
  Clock::time_point deadline;
  std::string key;  // of the id

  std::mutex mutex;
  std::condition_variable ended;
  bool has_ended = false;
  npuResult result = NPU_ERROR_DEPENDENCY_FAILED;
  std::string text;
  npuCclWorld world{};
};

npuResult failed(const char* what, pmix_status_t status) {
  return fail(NPU_ERROR_DEPENDENCY_FAILED, "the PMIx server that started this process %s: %s", what,
              library().error_string(status));
}

// What the process |rank| of this job has under |key|.
pmix_status_t ask(const pmix_proc_t& own, pmix_rank_t rank, const char* key, ValuePtr* out) {
  pmix_proc_t of = own;
  of.rank = rank;
  pmix_info_t limit{};
  std::strncpy(limit.key, PMIX_TIMEOUT, sizeof(limit.key) - 1);
  limit.value.type = PMIX_INT;
  limit.value.data.integer = kAnswerSeconds;
  pmix_value_t* found = nullptr;
  const pmix_status_t status = library().get(&of, key, &limit, 1, &found);
  out->reset(found);
  return status == PMIX_SUCCESS && found == nullptr ? PMIX_ERR_NOT_FOUND : status;
}

npuResult ask_number(const pmix_proc_t& own, pmix_rank_t rank, const char* key, uint32_t* out) {
  ValuePtr value;
  const pmix_status_t status = ask(own, rank, key, &value);
  if (status != PMIX_SUCCESS) {
    return failed((std::string("does not tell ") + key).c_str(), status);
  }
  if (value->type == PMIX_UINT32) return *out = value->data.uint32, NPU_OK;
  if (value->type == PMIX_UINT16) return *out = value->data.uint16, NPU_OK;
  return failed((std::string("tells a ") + key + " of another type").c_str(),
                PMIX_ERR_TYPE_MISMATCH);
}

npuResult publish_id(const Exchange& exchange, const npuCclId& id) {
  npuCclId copy = id;
  pmix_value_t value{};
  value.type = PMIX_BYTE_OBJECT;
  value.data.bo.bytes = reinterpret_cast<char*>(copy.bytes);
  value.data.bo.size = sizeof(copy.bytes);
  pmix_status_t status = library().put(PMIX_GLOBAL, exchange.key.c_str(), &value);
  if (status == PMIX_SUCCESS) status = library().commit();
  return status == PMIX_SUCCESS ? NPU_OK : failed("does not take an id", status);
}

npuResult await_id(const Exchange& exchange, const pmix_proc_t& own, npuCclId* out) {
  ValuePtr value;
  for (;;) {
    const pmix_status_t status = ask(own, 0, exchange.key.c_str(), &value);
    if (status == PMIX_SUCCESS) break;
    const bool may_come = status == PMIX_ERR_NOT_FOUND || status == PMIX_ERR_TIMEOUT;
    if (!may_come || Clock::now() >= exchange.deadline) {
      return failed("has no id of rank 0, which has ended or not called npuCclGetWorld as often",
                    status);
    }
    std::this_thread::sleep_for(kRetry);
  }
  const pmix_byte_object_t& bytes = value->data.bo;
  if (value->type == PMIX_BYTE_OBJECT && bytes.size == sizeof(out->bytes)) {
    std::memcpy(out->bytes, bytes.bytes, sizeof(out->bytes));
    if (read_id(*out)) return NPU_OK;
  }
  return fail(NPU_ERROR_DEPENDENCY_FAILED, "what rank 0 has published through PMIx is no id");
}

// Who this process is, which does not change; guarded by is_busy. PMIx 4.2 does not tell all of it again after PMIx_Finalize.
struct Place {
  uint32_t ranks = 0;  // 0: not known yet
  uint32_t local_ranks = 0;
  uint32_t rank = 0;
  uint32_t local_rank = 0;
};
Place place_of_process;

npuResult ask_place(const pmix_proc_t& own, Place* out) {
  Place place;
  place.rank = own.rank;
  NPU_CCL_TRY(ask_number(own, PMIX_RANK_WILDCARD, PMIX_JOB_SIZE, &place.ranks));
  NPU_CCL_TRY(ask_number(own, PMIX_RANK_WILDCARD, PMIX_LOCAL_SIZE, &place.local_ranks));
  NPU_CCL_TRY(ask_number(own, own.rank, PMIX_LOCAL_RANK, &place.local_rank));
  if (place.rank >= place.ranks || place.local_ranks > place.ranks ||
      place.local_rank >= place.local_ranks) {
    return fail(NPU_ERROR_DEPENDENCY_FAILED,
                "the PMIx server says that this is rank %u of %u, and %u of %u on this host",
                place.rank, place.ranks, place.local_rank, place.local_ranks);
  }
  *out = place;
  return NPU_OK;
}

npuResult exchange_id(const Exchange& exchange, const pmix_proc_t& own, npuCclWorld* out) {
  Place& place = place_of_process;
  if (place.ranks == 0) NPU_CCL_TRY(ask_place(own, &place));
  out->ranks = place.ranks;
  out->rank = place.rank;
  out->local_rank = place.local_rank;
  if (place.rank != 0) return await_id(exchange, own, &out->id);
  NPU_CCL_TRY(place.local_ranks < place.ranks ? get_id_for_hosts(&out->id) : get_id(&out->id));
  return publish_id(exchange, out->id);
}

// Connected for the time of a call only: so there is no thread of its own afterwards, and a server takes the process's end for a good one.
void run(Exchange& exchange) {
  npuCclWorld world{};
  pmix_proc_t own{};
  const pmix_status_t status = library().init(&own, nullptr, 0);
  npuResult result = NPU_OK;
  if (status != PMIX_SUCCESS) {
    result = failed("cannot be reached", status);
  } else {
    result = exchange_id(exchange, own, &world);
    library().finalize(nullptr, 0);
  }
  const std::lock_guard lock(exchange.mutex);
  exchange.result = result;
  exchange.text = result == NPU_OK ? "" : error_text();
  exchange.world = world;
  exchange.has_ended = true;
  exchange.ended.notify_all();
}

std::atomic<bool> is_busy = false;
uint64_t exchanges = 0;  // guarded by is_busy

}  // namespace

npuResult world_of_pmix(std::chrono::milliseconds timeout, npuCclWorld* out) {
  const char* job = std::getenv("PMIX_NAMESPACE");
  if (job == nullptr || *job == '\0') return NPU_ERROR_NOT_FOUND;
  if (!library().error.empty()) return fail(NPU_ERROR_FILE, "%s", library().error.c_str());
  if (is_busy.exchange(true)) {
    return fail(NPU_ERROR_BUSY, "another call of npuCclGetWorld waits for the PMIx server");
  }
  const auto exchange = std::make_shared<Exchange>();
  exchange->deadline = Clock::now() + timeout;
  exchange->key = "npu.ccl.id." + std::to_string(exchanges++);
  try {
    std::thread([exchange] {
      run(*exchange);
      is_busy = false;
    }).detach();
  } catch (const std::system_error& error) {
    is_busy = false;
    return fail(NPU_ERROR_DRIVER, "no thread to ask the PMIx server: %s", error.what());
  }
  std::unique_lock lock(exchange->mutex);
  exchange->ended.wait_until(lock, exchange->deadline + kGrace,
                             [&] { return exchange->has_ended; });
  if (!exchange->has_ended) {
    return fail(NPU_ERROR_DEPENDENCY_FAILED,
                "the PMIx server that started this process has not answered within %lld ms",
                static_cast<long long>(timeout.count()));
  }
  if (exchange->result != NPU_OK) return fail(exchange->result, "%s", exchange->text.c_str());
  *out = exchange->world;
  return NPU_OK;
}

}  // namespace npu::ccl
