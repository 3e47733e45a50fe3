// SPDX-License-Identifier: Apache-2.0
// The all-reduce of the backend, called as ggml's meta device calls it: sums, what is refused, and a device that fails. Runs in ggml's tree (run_tests.py, part comm) with two NPUs.
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

int failures = 0;

void report(bool ok, const std::string& what) {
  failures += !ok;
  std::printf("%s  comm: %s\n", ok ? "ok    " : "FAILED", what.c_str());
}

struct Functions {
  ggml_backend_comm_init_t init;
  ggml_backend_comm_free_t free;
  ggml_backend_comm_allreduce_tensor_t all_reduce;
};

template <typename Function>
Function find(ggml_backend_reg_t registration, const char* name) {
  return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registration, name));
}

// A stream on each of two NPUs, and a communicator.
struct World {
  std::vector<ggml_backend_t> streams;
  Functions functions{};
  void* comm = nullptr;

  World() {
    for (size_t i = 0; i < 2; ++i) streams.push_back(ggml_backend_init_by_name(name(i), nullptr));
    ggml_backend_reg_t npu = ggml_backend_reg_by_name("NPU");
    functions = {
        find<ggml_backend_comm_init_t>(npu, "ggml_backend_comm_init"),
        find<ggml_backend_comm_free_t>(npu, "ggml_backend_comm_free"),
        find<ggml_backend_comm_allreduce_tensor_t>(npu, "ggml_backend_comm_allreduce_tensor")};
    comm = functions.init(streams.data(), streams.size());
  }
  ~World() {
    functions.free(comm);
    for (ggml_backend_t stream : streams) ggml_backend_free(stream);
  }
  static const char* name(size_t i) { return i == 0 ? "NPU0" : "NPU1"; }
};

// One tensor in the memory of a stream's device.
struct Tensor {
  ggml_context* context;
  ggml_tensor* tensor;
  ggml_backend_buffer_t buffer;

  Tensor(ggml_backend_t stream, ggml_type type, int64_t width, int64_t height = 1) {
    context = ggml_init({16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true});
    tensor = ggml_new_tensor_2d(context, type, width, height);
    buffer = ggml_backend_alloc_ctx_tensors(context, stream);
    tensor->flags |= GGML_TENSOR_FLAG_COMPUTE;
  }
  ~Tensor() {
    ggml_backend_buffer_free(buffer);
    ggml_free(context);
  }
  void write(const std::vector<float>& values) {
    std::vector<uint8_t> bytes(ggml_nbytes(tensor));
    if (tensor->type == GGML_TYPE_F32)
      std::memcpy(bytes.data(), values.data(), bytes.size());
    else
      ggml_quantize_chunk(tensor->type, values.data(), bytes.data(), 0, 1,
                          static_cast<int64_t>(values.size()), nullptr);
    if (!bytes.empty()) ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
  }
  std::vector<float> read() const {
    std::vector<uint8_t> bytes(ggml_nbytes(tensor));
    std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
    if (!bytes.empty()) ggml_backend_tensor_get(tensor, bytes.data(), 0, bytes.size());
    if (tensor->type == GGML_TYPE_F32)
      std::memcpy(values.data(), bytes.data(), bytes.size());
    else
      ggml_get_type_traits(tensor->type)
          ->to_float(bytes.data(), values.data(), static_cast<int64_t>(values.size()));
    return values;
  }
};

bool all_reduce(World& world, Tensor& a, Tensor& b) {
  ggml_tensor* tensors[] = {a.tensor, b.tensor};
  return world.functions.all_reduce(world.comm, tensors);
}

void synchronize(World& world) {
  for (ggml_backend_t stream : world.streams) ggml_backend_synchronize(stream);
}

// Small whole numbers: sums of them are exact in every type.
std::vector<float> numbers(size_t count, std::mt19937& random) {
  std::vector<float> made(count);
  for (float& one : made) one = static_cast<float>(static_cast<int>(random() % 101) - 50);
  return made;
}

void test_sum(World& world, ggml_type type, int64_t width, int64_t height, std::mt19937& random) {
  Tensor a(world.streams[0], type, width, height);
  Tensor b(world.streams[1], type, width, height);
  const std::vector<float> x = numbers(static_cast<size_t>(width * height), random);
  const std::vector<float> y = numbers(x.size(), random);
  a.write(x);
  b.write(y);
  std::vector<float> sum(x);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
  const bool done = all_reduce(world, a, b);
  synchronize(world);
  report(done && a.read() == sum && b.read() == sum,
         std::string("sum of ") + std::to_string(width) + " x " + std::to_string(height) + " " +
             ggml_type_name(type));
}

void test_part_that_was_not_computed(World& world, std::mt19937& random) {
  Tensor a(world.streams[0], GGML_TYPE_F32, 100);
  Tensor b(world.streams[1], GGML_TYPE_F32, 100);
  const std::vector<float> x = numbers(100, random);
  a.write(x);
  b.write(std::vector<float>(100, NAN));
  b.tensor->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
  const bool done = all_reduce(world, a, b);
  synchronize(world);
  report(done && a.read() == x && b.read() == x, "a part that was not computed counts as zeros");
}

// The sum is taken after what the queues had to do before, and seen by what comes after it; the host waits for none of it.
void test_order(World& world) {
  std::vector<std::unique_ptr<Tensor>> inputs;
  std::vector<ggml_cgraph*> before, after;
  std::vector<ggml_tensor*> parts, results;
  std::vector<ggml_backend_buffer_t> buffers;
  std::vector<ggml_context*> contexts;
  for (ggml_backend_t stream : world.streams) {
    ggml_context* context =
        ggml_init({16 * ggml_tensor_overhead() + 2 * ggml_graph_overhead(), nullptr, true});
    Tensor& input = *inputs.emplace_back(new Tensor(stream, GGML_TYPE_F32, 5000));
    input.write(std::vector<float>(5000, 1));
    parts.push_back(ggml_scale(context, input.tensor, 3));
    results.push_back(ggml_scale(context, parts.back(), 10));
    before.push_back(ggml_new_graph(context));
    after.push_back(ggml_new_graph(context));
    ggml_build_forward_expand(before.back(), parts.back());
    buffers.push_back(ggml_backend_alloc_ctx_tensors(context, stream));
    contexts.push_back(context);
  }
  bool ok = true;
  for (size_t i = 0; i < 2; ++i) {
    ggml_build_forward_expand(after[i], results[i]);
    ok = ok && ggml_backend_graph_compute_async(world.streams[i], before[i]) == GGML_STATUS_SUCCESS;
  }
  ok = ok && world.functions.all_reduce(world.comm, parts.data());
  // Of the second graph the last node only: the first one would make the part anew.
  for (size_t i = 0; i < 2; ++i) {
    parts[i]->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
    ok = ok && ggml_backend_graph_compute_async(world.streams[i], after[i]) == GGML_STATUS_SUCCESS;
  }
  synchronize(world);
  for (ggml_tensor* result : results) {
    std::vector<float> values(5000);
    ggml_backend_tensor_get(result, values.data(), 0, ggml_nbytes(result));
    ok = ok && values == std::vector<float>(5000, 60);
  }
  report(ok, "between two graphs on the same queues, in order");
  for (size_t i = 0; i < 2; ++i) {
    ggml_backend_buffer_free(buffers[i]);
    ggml_free(contexts[i]);
  }
}

void test_refusals(World& world) {
  ggml_backend_t cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
  ggml_backend_t one[] = {world.streams[0]};
  ggml_backend_t same[] = {world.streams[0], world.streams[0]};
  ggml_backend_t foreign[] = {world.streams[0], cpu};
  report(world.functions.init(one, 1) == nullptr, "one NPU is refused");
  report(world.functions.init(same, 2) == nullptr, "one NPU twice is refused");
  report(world.functions.init(foreign, 2) == nullptr, "a stream of another backend is refused");
  Tensor a(world.streams[0], GGML_TYPE_F32, 64, 4);
  Tensor b(world.streams[1], GGML_TYPE_F32, 64, 4);
  Tensor longer(world.streams[1], GGML_TYPE_F32, 65, 4);
  Tensor half(world.streams[1], GGML_TYPE_F16, 64, 4);
  Tensor here(world.streams[0], GGML_TYPE_F32, 64, 4);
  Tensor host(cpu, GGML_TYPE_F32, 64, 4);
  const std::vector<float> x(256, 1);
  a.write(x);
  b.write(x);
  report(!all_reduce(world, a, longer), "tensors of different sizes are refused");
  report(!all_reduce(world, a, half), "tensors of different types are refused");
  report(!all_reduce(world, a, here), "a tensor of the wrong NPU is refused");
  report(!all_reduce(world, a, host), "a tensor in host memory is refused");
  Tensor i(world.streams[0], GGML_TYPE_I32, 64), j(world.streams[1], GGML_TYPE_I32, 64);
  report(!all_reduce(world, i, j), "integers are refused");
  ggml_tensor* strided[] = {a.tensor, ggml_transpose(b.context, b.tensor)};
  report(!world.functions.all_reduce(world.comm, strided), "a strided tensor is refused");
  synchronize(world);
  report(a.read() == x && b.read() == x, "what was refused is as it was");
  report(all_reduce(world, a, b), "after refusals the next one is taken");
  synchronize(world);
  ggml_backend_free(cpu);
}

// One NPU reads memory that is not there; the other one must learn of it, in time, and nobody goes on with half a sum.
void test_failing_device(bool under_way) {
  World world;
  Tensor a(world.streams[0], GGML_TYPE_F32, 1000);
  Tensor b(world.streams[1], GGML_TYPE_F32, 1000);
  a.write(std::vector<float>(1000, 1));
  b.write(std::vector<float>(1000, 2));
  report(all_reduce(world, a, b), "the NPUs are joined before one fails");
  synchronize(world);
  Tensor lost(world.streams[1], GGML_TYPE_F32, 1000);
  // First something that takes a while: then the sum is under way when the NPU fails.
  Tensor square(world.streams[1], GGML_TYPE_F32, 1024, 1024);
  Tensor product(world.streams[1], GGML_TYPE_F32, 1024, 1024);
  ggml_tensor* busy = ggml_mul_mat(square.context, square.tensor, square.tensor);
  busy->data = product.tensor->data;
  ggml_tensor* sum = ggml_add_inplace(b.context, b.tensor, lost.tensor);
  void* const place = std::exchange(lost.tensor->data, reinterpret_cast<void*>(0x7000000000));
  ggml_cgraph* graph = ggml_new_graph(b.context);
  if (under_way) ggml_build_forward_expand(graph, busy);
  ggml_build_forward_expand(graph, sum);
  const auto start = std::chrono::steady_clock::now();
  ggml_backend_graph_compute_async(world.streams[1], graph);
  if (!under_way) ggml_backend_synchronize(world.streams[1]);
  const bool submitted = all_reduce(world, a, b);
  synchronize(world);
  const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report(s < 30 && (under_way || !submitted), std::string("an NPU that fails ") +
                                                  (under_way ? "under way" : "before") +
                                                  " ends the sum in " + std::to_string(s) + " s");
  lost.tensor->data = place;
  lost.write(std::vector<float>(1000, 5));
  report(!all_reduce(world, a, b), "after a failure sums are refused");
  bool told = true;
  ggml_cgraph* other = ggml_new_graph(a.context);
  ggml_build_forward_expand(other, ggml_scale_inplace(a.context, a.tensor, 1));
  told = ggml_backend_graph_compute(world.streams[0], other) == GGML_STATUS_FAILED &&
         ggml_backend_graph_compute(world.streams[1], graph) == GGML_STATUS_FAILED;
  report(told, "the next graph of both NPUs tells of it");
  b.write(std::vector<float>(1000, 2));
  report(ggml_backend_graph_compute(world.streams[1], graph) == GGML_STATUS_SUCCESS &&
             b.read() == std::vector<float>(1000, 7),
         "then the NPU works again");
}

}  // namespace

int main() {
  ggml_backend_load_all();
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  std::printf("        comm: seed %u\n", seed);
  std::mt19937 random(seed);
  {
    World world;
    if (world.comm == nullptr) {
      report(false, "two NPUs are joined");
      return 1;
    }
    for (ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
      for (int64_t width : {1, 3, 64, 1000, 70001}) test_sum(world, type, width, 3, random);
    }
    test_sum(world, GGML_TYPE_F32, 0, 3, random);
    test_sum(world, GGML_TYPE_F32, 4096, 300, random);
    test_part_that_was_not_computed(world, random);
    test_order(world);
    test_refusals(world);
  }
  test_failing_device(false);
  test_failing_device(true);
  return failures != 0;
}
