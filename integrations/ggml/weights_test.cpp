// SPDX-License-Identifier: Apache-2.0
// Weights in tiles: whoever reads, writes or multiplies them finds what lies there by rows in another buffer, bit for bit. Runs in ggml's tree (run_tests.py, part weights) with an NPU.
#include "integrations/ggml/weights.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;

int failures = 0;
std::mt19937 random_numbers;

void report(bool ok, const std::string& what) {
  failures += !ok;
  std::printf("%s  weights: %s\n", ok ? "ok    " : "FAILED", what.c_str());
}

Floats numbers(int64_t count) {
  std::normal_distribution<float> draw;
  Floats made(static_cast<size_t>(count));
  for (float& one : made) one = draw(random_numbers);
  return made;
}

Bytes blocks(ggml_type type, int64_t cols, int64_t rows) {
  const Floats values = numbers(cols * rows);
  Bytes made(ggml_row_size(type, cols) * static_cast<size_t>(rows));
  ggml_quantize_chunk(type, values.data(), made.data(), 0, rows, cols, nullptr);
  return made;
}

// Tensors in one buffer of the stream's device.
class Memory {
 public:
  explicit Memory(ggml_backend_t stream)
      : stream_(stream),
        context_(
            ggml_init({64 * ggml_tensor_overhead() + 4 * ggml_graph_overhead(), nullptr, true})) {}
  ~Memory() {
    ggml_backend_buffer_free(buffer_);
    ggml_free(context_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  ggml_tensor* make(ggml_type type, int64_t cols, int64_t rows = 1, int64_t count = 1) {
    return ggml_new_tensor_3d(context_, type, cols, rows, count);
  }
  void allocate(ggml_backend_buffer_usage usage = GGML_BACKEND_BUFFER_USAGE_ANY) {
    buffer_ = ggml_backend_alloc_ctx_tensors(context_, stream_);
    ggml_backend_buffer_set_usage(buffer_, usage);
  }
  ggml_context* context() { return context_; }
  ggml_backend_buffer_t buffer() { return buffer_; }

 private:
  ggml_backend_t stream_;
  ggml_context* context_;
  ggml_backend_buffer_t buffer_ = nullptr;
};

void write(ggml_tensor* tensor, const Bytes& bytes) {
  ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
}

Bytes read(const ggml_tensor* tensor) {
  Bytes bytes(ggml_nbytes(tensor));
  ggml_backend_tensor_get(tensor, bytes.data(), 0, bytes.size());
  return bytes;
}

bool has_tiles(const ggml_tensor* tensor) {
  return npu::ggml::Weights::in_tiles(tensor) != nullptr;
}

// The same matrix twice: in a buffer of weights, and by rows.
struct Pair {
  Memory tiled, rows;
  ggml_tensor *a, *b;
  ggml_backend_t stream;

  Pair(ggml_backend_t s, ggml_type type, int64_t cols, int64_t count, int64_t matrices = 1)
      : tiled(s), rows(s), stream(s) {
    a = tiled.make(type, cols, count, matrices);
    b = rows.make(type, cols, count, matrices);
    tiled.allocate(GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    rows.allocate();
    fill();
  }
  Bytes fill() {
    const Bytes bytes = blocks(a->type, a->ne[0], a->ne[1] * a->ne[2]);
    write(a, bytes);
    write(b, bytes);
    return bytes;
  }
  bool holds(const Bytes& bytes) const { return read(a) == bytes && read(b) == bytes; }
};

using Build = std::function<ggml_tensor*(ggml_context*, ggml_tensor* weights, ggml_tensor* other)>;

// Results of the same graph on both; |others| is an operand beside them.
class Graphs {
 public:
  Graphs(Pair& pair, const Build& build, ggml_type type, int64_t cols, int64_t rows,
         int64_t count = 1)
      : pair_(pair), memory_(pair.stream) {
    other_ = memory_.make(type, cols, rows, count);
    for (ggml_tensor* weights : {pair.a, pair.b}) {
      ggml_tensor* out = build(memory_.context(), weights, other_);
      graphs_.push_back(ggml_new_graph(memory_.context()));
      ggml_build_forward_expand(graphs_.back(), out);
      outs_.push_back(out);
    }
    memory_.allocate();
  }
  ggml_tensor* other() { return other_; }
  bool agree() {
    for (ggml_cgraph* graph : graphs_)
      if (ggml_backend_graph_compute(pair_.stream, graph) != GGML_STATUS_SUCCESS) return false;
    return read(outs_[0]) == read(outs_[1]);
  }
  bool agree_on_numbers() {
    const Floats values = numbers(ggml_nelements(other_));
    ggml_backend_tensor_set(other_, values.data(), 0, values.size() * sizeof(float));
    return agree();
  }

 private:
  Pair& pair_;
  Memory memory_;
  ggml_tensor* other_;
  std::vector<ggml_cgraph*> graphs_;
  std::vector<ggml_tensor*> outs_;
};

ggml_tensor* product(ggml_context* context, ggml_tensor* weights, ggml_tensor* vectors) {
  return ggml_mul_mat(context, weights, vectors);
}

std::string name(ggml_type type) { return ggml_type_name(type); }

void test_products(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 256, 96);
  report(has_tiles(pair.a) && !has_tiles(pair.b), name(type) + " has tiles among weights only");
  for (int64_t vectors : {1, 3, 4, 16, 17, 65})
    report(Graphs(pair, product, GGML_TYPE_F32, 256, vectors).agree_on_numbers(),
           name(type) + ": products with " + std::to_string(vectors) + " vectors");
  report(Graphs(pair, product, GGML_TYPE_F32, 256, 5, 3).agree_on_numbers(),
         name(type) + ": one matrix for three");
  Pair three(stream, type, 96, 32, 3);
  report(has_tiles(three.a) && Graphs(three, product, GGML_TYPE_F32, 96, 7, 3).agree_on_numbers(),
         name(type) + ": three matrices");
  Pair odd(stream, type, 64, 24);
  report(!has_tiles(odd.a) && Graphs(odd, product, GGML_TYPE_F32, 64, 2).agree_on_numbers(),
         name(type) + ": 24 rows have no tiles");
}

void test_experts(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 128, 48, 4);
  Memory memory(stream);
  // With more choices than experts the same weights by rows are multiplied in fp32.
  ggml_tensor* ids = memory.make(GGML_TYPE_I32, 2, 2);
  memory.allocate();
  std::vector<int32_t> chosen(4);
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = static_cast<int32_t>(i * 3 % 4);
  ggml_backend_tensor_set(ids, chosen.data(), 0, chosen.size() * sizeof(int32_t));
  const Build build = [&](ggml_context* context, ggml_tensor* weights, ggml_tensor* vectors) {
    return ggml_mul_mat_id(context, weights, vectors, ids);
  };
  report(has_tiles(pair.a) && Graphs(pair, build, GGML_TYPE_F32, 128, 1, 2).agree_on_numbers(),
         name(type) + ": experts chosen by number");
}

void test_host(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 160, 64);
  const Bytes bytes = pair.fill();
  report(has_tiles(pair.a) && pair.holds(bytes), name(type) + ": the host reads what it wrote");
  std::uniform_int_distribution<size_t> draw(0, bytes.size());
  bool same = true;
  for (int i = 0; i < 50; ++i) {
    const size_t x = draw(random_numbers), y = draw(random_numbers);
    const size_t begin = std::min(x, y), count = std::max(x, y) - begin;
    Bytes part(count);
    ggml_backend_tensor_get(pair.a, part.data(), begin, count);
    same = same && std::equal(part.begin(), part.end(), bytes.begin() + static_cast<long>(begin));
  }
  report(same, name(type) + ": and any part of it");

  const Bytes other = blocks(type, 160, 64);
  Memory whole(stream);
  ggml_tensor* pieces = whole.make(type, 160, 64);
  whole.allocate(GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  for (size_t at = 0; at < other.size(); at += 777)
    ggml_backend_tensor_set_async(stream, pieces, other.data() + at, at,
                                  std::min<size_t>(777, other.size() - at));
  Bytes back(other.size());
  ggml_backend_tensor_get_async(stream, pieces, back.data(), 0, back.size());
  ggml_backend_synchronize(stream);
  report(has_tiles(pieces) && back == other, name(type) + ": tiles when the last piece has come");

  Bytes changed = bytes;
  std::copy_n(other.begin(), 500, changed.begin() + 1001);
  for (ggml_tensor* tensor : {pair.a, pair.b})
    ggml_backend_tensor_set(tensor, other.data(), 1001, 500);
  report(!has_tiles(pair.a) && pair.holds(changed), name(type) + ": a part that changes: rows");
  for (ggml_tensor* tensor : {pair.a, pair.b}) write(tensor, other);
  report(has_tiles(pair.a) && pair.holds(other), name(type) + ": written anew: tiles again");
  ggml_backend_tensor_copy(pieces, pair.a);
  ggml_backend_tensor_copy(pair.a, pair.b);
  report(has_tiles(pair.a) && pair.holds(other), name(type) + ": copies of tensors");
  for (ggml_tensor* tensor : {pair.a, pair.b}) ggml_backend_tensor_memset(tensor, 0, 340, 17);
  changed = other;
  std::fill_n(changed.begin() + 340, 17, uint8_t{0});
  report(pair.holds(changed), name(type) + ": bytes that are set");
  for (ggml_tensor* tensor : {pair.a, pair.b}) write(tensor, other);
  for (Memory* memory : {&pair.tiled, &pair.rows}) ggml_backend_buffer_clear(memory->buffer(), 0);
  report(pair.holds(Bytes(other.size())), name(type) + ": a buffer that is cleared");
}

void test_readers(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 128, 80);
  Memory memory(stream);
  ggml_tensor* numbers_of_rows = memory.make(GGML_TYPE_I32, 5);
  memory.allocate();
  const int32_t chosen[] = {0, 79, 17, 16, 5};
  ggml_backend_tensor_set(numbers_of_rows, chosen, 0, sizeof(chosen));
  const Build rows = [&](ggml_context* context, ggml_tensor* weights, ggml_tensor*) {
    return ggml_get_rows(context, weights, numbers_of_rows);
  };
  const Build copy = [](ggml_context* context, ggml_tensor* weights, ggml_tensor* other) {
    return ggml_cpy(context, weights, other);
  };
  const auto slice = [](int64_t first, int64_t count) -> Build {
    return [=](ggml_context* context, ggml_tensor* weights, ggml_tensor* vectors) {
      ggml_tensor* part = ggml_view_2d(context, weights, weights->ne[0], count, weights->nb[1],
                                       static_cast<size_t>(first) * weights->nb[1]);
      return ggml_mul_mat(context, part, vectors);
    };
  };
  report(Graphs(pair, rows, GGML_TYPE_F32, 1, 1).agree(), name(type) + ": rows by number");
  report(Graphs(pair, copy, GGML_TYPE_F32, 128, 80).agree(), name(type) + ": a copy in fp32");
  report(Graphs(pair, slice(16, 48), GGML_TYPE_F32, 128, 3).agree_on_numbers(),
         name(type) + ": a product with some of the tiles");
  report(Graphs(pair, slice(5, 16), GGML_TYPE_F32, 128, 3).agree_on_numbers(),
         name(type) + ": a product with rows between tiles");
  report(Graphs(pair, slice(64, 9), GGML_TYPE_F32, 128, 20).agree_on_numbers(),
         name(type) + ": a product with a part of a tile");
  report(has_tiles(pair.a), name(type) + ": none of them ends the tiles");
  pair.fill();
  report(has_tiles(pair.a) && Graphs(pair, rows, GGML_TYPE_F32, 1, 1).agree(),
         name(type) + ": rows by number after new weights have come");
}

// A graph that was submitted before sees what lies there now.
void test_changes(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 64, 32);
  Graphs products(pair, product, GGML_TYPE_F32, 64, 4);
  report(products.agree_on_numbers() && products.agree(), name(type) + ": a graph twice");
  pair.fill();
  report(products.agree(), name(type) + ": the same graph on other weights");
  const Bytes part = blocks(type, 64, 3);
  for (ggml_tensor* tensor : {pair.a, pair.b})
    ggml_backend_tensor_set(tensor, part.data(), pair.a->nb[1], part.size());
  report(!has_tiles(pair.a) && products.agree(), name(type) + ": with three rows changed");
  pair.fill();
  report(has_tiles(pair.a) && products.agree(), name(type) + ": with all of them changed");
  const Build overwrite = [](ggml_context* context, ggml_tensor* weights, ggml_tensor* other) {
    return ggml_cpy(context, other, weights);
  };
  report(Graphs(pair, overwrite, GGML_TYPE_F32, 64, 32).agree_on_numbers() && !has_tiles(pair.a) &&
             products.agree(),
         name(type) + ": a graph that writes weights ends their tiles");
  report(read(pair.a) == read(pair.b), name(type) + ": and the host reads what it wrote");
}

// Another tensor takes the place: it is what lies there by rows.
void test_place(ggml_backend_t stream, ggml_type type) {
  Pair pair(stream, type, 64, 32);
  const Bytes bytes = pair.fill();
  Memory memory(stream);
  ggml_tensor* other = memory.make(GGML_TYPE_I8, static_cast<int64_t>(bytes.size()));
  ggml_backend_tensor_alloc(pair.tiled.buffer(), other, pair.a->data);
  report(!has_tiles(pair.a) && read(other) == bytes && read(pair.a) == bytes,
         name(type) + ": another tensor in the same place");
}

}  // namespace

int main() {
  ggml_backend_load_all();
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  std::printf("        weights: seed %u\n", seed);
  random_numbers.seed(seed);
  ggml_backend_t stream = ggml_backend_init_by_name("NPU0", nullptr);
  if (stream == nullptr) {
    std::fprintf(stderr, "there is no NPU0\n");
    return 1;
  }
  for (ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_0}) {
    test_products(stream, type);
    test_experts(stream, type);
    test_host(stream, type);
    test_readers(stream, type);
    test_changes(stream, type);
    test_place(stream, type);
  }
  ggml_backend_free(stream);
  return failures == 0 ? 0 : 1;
}
