// SPDX-License-Identifier: Apache-2.0
// Which nodes become one operator, and which order a graph gets: graphs without memory, whose tensors have addresses only. Runs in ggml's tree (run_tests.py, part fuse), without an NPU.
#include "integrations/ggml/fuse.h"

#include <ggml.h>

#include <cstdio>
#include <string>
#include <vector>

#include "integrations/ggml/order.h"

namespace npu::ggml {
namespace {

int failures = 0;

void report(bool ok, const std::string& what) {
  failures += !ok;
  std::printf("%s  fuse: %s\n", ok ? "ok    " : "FAILED", what.c_str());
}

// The feed-forward part of a layer as llama.cpp builds it, and the product behind it. Each tensor has a place of its own, unless place() says otherwise.
class Layer {
 public:
  explicit Layer(int64_t vectors = 1, ggml_type type = GGML_TYPE_Q8_0)
      : context_(ggml_init({64 * ggml_tensor_overhead(), nullptr, true})) {
    x = leaf(GGML_TYPE_F32, kWidth, vectors);
    norm = ggml_rms_norm(context_, x, 1e-5f);
    normed = ggml_mul(context_, norm, leaf(GGML_TYPE_F32, kWidth, 1));
    gate = ggml_mul_mat(context_, leaf(type, kWidth, kInner), normed);
    up = ggml_mul_mat(context_, leaf(type, kWidth, kInner), normed);
    glu = ggml_swiglu_split(context_, gate, up);
    down = ggml_mul_mat(context_, leaf(type, kInner, kWidth), glu);
    sum = ggml_add(context_, down, x);
    for (ggml_tensor* t : {norm, normed, gate, up, glu, down, sum}) place(t, fresh());
    place(normed, norm->data);
    place(sum, down->data);
  }
  ~Layer() { ggml_free(context_); }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  ggml_tensor* leaf(ggml_type type, int64_t cols, int64_t rows) {
    ggml_tensor* t = ggml_new_tensor_2d(context_, type, cols, rows);
    t->data = fresh();
    return t;
  }
  void place(ggml_tensor* t, void* at) { t->data = at; }
  void* fresh() { return reinterpret_cast<void*>(next_ += 1 << 20); }
  ggml_context* context() { return context_; }

  // Of nodes from the first one on, how many are one operator.
  static size_t taken(std::vector<const ggml_tensor*> nodes, Lowered* out = nullptr) {
    Lowered lowered;
    return lower_fused(nodes, out != nullptr ? out : &lowered);
  }

  static constexpr int64_t kWidth = 64, kInner = 96;
  ggml_tensor *x, *norm, *normed, *gate, *up, *glu, *down, *sum;

 private:
  ggml_context* context_;
  uintptr_t next_ = uintptr_t{1} << 32;
};

void test_whole_layer() {
  for (ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0}) {
    Layer l(2, type);
    Lowered out;
    const size_t n = Layer::taken({l.norm, l.normed, l.gate, l.up, l.glu, l.down}, &out);
    const npuOpsProductsInfo& p = out.operations[0].info.products;
    report(n == 5 && out.operations[0].kind == NPU_OPS_TENSOR_PRODUCTS && p.count == 2 &&
               p.integers == (ggml_is_quantized(type) ? 1u : 0u),
           std::string("a norm, two products and their gate are one operator, ") +
               ggml_type_name(type));
    report(p.normed.data == reinterpret_cast<npuDevPtr>(l.normed->data) &&
               p.y[0].data == reinterpret_cast<npuDevPtr>(l.gate->data) &&
               p.y[1].data == reinterpret_cast<npuDevPtr>(l.up->data) &&
               p.gated.data == reinterpret_cast<npuDevPtr>(l.glu->data),
           "what lies between is written: another node, or the program, may read it");
  }
  Layer l;
  Lowered out;
  report(Layer::taken({l.norm, l.normed, l.up, l.gate, l.glu}, &out) == 5 &&
             out.operations[0].info.products.y[0].data == reinterpret_cast<npuDevPtr>(l.gate->data),
         "products in the other order: the gate's operand comes first");
  report(Layer::taken({l.down, l.sum}) == 2, "a product and the sum in its place are one operator");
  report(Layer::taken({l.gate, l.up, l.down}) == 2, "products without a norm are one operator");
  report(Layer::taken({l.gate}) == 0 && Layer::taken({l.glu, l.down}) == 0,
         "a product alone, and a gate alone, stay what they are");
  Layer many(17);
  report(Layer::taken({many.norm, many.normed, many.gate, many.up, many.glu}) == 2,
         "of a prompt only the norm and its weight are one operator");
}

void test_sums() {
  Layer apart;
  apart.place(apart.sum, apart.fresh());
  report(Layer::taken({apart.down, apart.sum}) == 0,
         "a sum elsewhere leaves the product to be read: two operators");
  Layer repeats(2);
  ggml_tensor* bias = repeats.leaf(GGML_TYPE_F32, Layer::kWidth, 1);
  ggml_tensor* sum = ggml_add(repeats.context(), repeats.down, bias);
  repeats.place(sum, repeats.down->data);
  report(Layer::taken({repeats.down, sum}) == 0, "a row that repeats over vectors is no operand");
  Layer twice;
  ggml_tensor* doubled = ggml_add(twice.context(), twice.down, twice.down);
  twice.place(doubled, twice.down->data);
  report(Layer::taken({twice.down, doubled}) == 0, "a product that is added to itself");
  Layer half;
  ggml_tensor* narrow = half.leaf(GGML_TYPE_F16, Layer::kWidth, 1);
  ggml_tensor* mixed = ggml_add(half.context(), half.down, narrow);
  half.place(mixed, half.down->data);
  report(Layer::taken({half.down, mixed}) == 0, "what is added is of another type");
}

void test_overlaps() {
  Layer final;
  final.place(final.norm, final.x->data);
  final.place(final.normed, final.x->data);
  report(Layer::taken({final.norm, final.normed, final.gate, final.up, final.glu}) == 2,
         "a norm in place stays apart from the products, whose work-groups would read it");
  Layer reused;
  reused.place(reused.glu, reused.normed->data);
  report(Layer::taken({reused.norm, reused.normed, reused.gate, reused.up, reused.glu}) == 4,
         "a gate where the vectors lie is an operator of its own");
  Layer in_place;
  in_place.place(in_place.glu, in_place.gate->data);
  report(
      Layer::taken({in_place.norm, in_place.normed, in_place.gate, in_place.up, in_place.glu}) == 4,
      "and one in the place of a product");
  Layer second;
  second.place(second.up, second.x->data);
  report(Layer::taken({second.norm, second.normed, second.gate, second.up, second.glu}) == 3,
         "a product that takes the place of what the norm reads comes later");
}

void test_others() {
  Layer l;
  ggml_tensor* other =
      ggml_mul_mat(l.context(), l.leaf(GGML_TYPE_Q4_0, Layer::kWidth, Layer::kInner), l.normed);
  l.place(other, l.fresh());
  report(Layer::taken({l.norm, l.normed, l.gate, other}) == 3,
         "weights of another type come later");
  ggml_tensor* reader =
      ggml_mul_mat(l.context(), l.leaf(GGML_TYPE_Q8_0, Layer::kWidth, Layer::kInner), l.x);
  l.place(reader, l.fresh());
  report(Layer::taken({l.norm, l.normed, l.gate, reader}) == 3,
         "so do products with other vectors");
  ggml_tensor* view = ggml_view_2d(l.context(), l.normed, Layer::kWidth, 1, l.normed->nb[1], 0);
  l.place(view, l.normed->data);
  ggml_tensor* of_view =
      ggml_mul_mat(l.context(), l.leaf(GGML_TYPE_Q8_0, Layer::kWidth, Layer::kInner), view);
  l.place(of_view, l.fresh());
  report(Layer::taken({l.norm, l.normed, l.gate, of_view}) == 4,
         "a view of all of the vectors is the vectors");
  ggml_tensor* gate_of_others = ggml_swiglu_split(l.context(), l.gate, other);
  l.place(gate_of_others, l.fresh());
  report(Layer::taken({l.norm, l.normed, l.gate, l.up, gate_of_others}) == 4,
         "a gate over something else is an operator of its own");
}

void test_ropes() {
  Layer l;
  ggml_context* c = l.context();
  ggml_tensor* positions = ggml_new_tensor_1d(c, GGML_TYPE_I32, 1);
  l.place(positions, l.fresh());
  const auto rope = [&](int64_t heads, float base) {
    ggml_tensor* x = ggml_new_tensor_3d(c, GGML_TYPE_F32, 32, heads, 1);
    l.place(x, l.fresh());
    ggml_tensor* y = ggml_rope_ext(c, x, positions, nullptr, 32, 0, 512, base, 1, 0, 1, 32, 1);
    l.place(y, l.fresh());
    return y;
  };
  ggml_tensor *q = rope(8, 1e4f), *k = rope(4, 1e4f), *other = rope(4, 1e6f);
  report(Layer::taken({q, k}) == 2, "queries and keys are turned by one operator");
  report(Layer::taken({q, other}) == 0, "but not by other frequencies");
  report(Layer::taken({k, q}) == 0, "nor where there are more heads of the second");
  l.place(k, q->src[0]->data);
  report(Layer::taken({q, k}) == 2, "the keys of one token may take the place of its queries");
  l.place(q, k->src[0]->data);
  report(Layer::taken({q, k}) == 0, "turned queries may not take the place of keys");
}

// --- order ------------------------------------------------------------------------------------------------------------

// Queries, keys and values as llama.cpp orders them: a rotation after the first product.
void test_order() {
  Layer l;
  ggml_context* c = l.context();
  const auto product = [&](ggml_tensor* vectors) {
    return ggml_mul_mat(c, l.leaf(GGML_TYPE_Q8_0, Layer::kWidth, 32), vectors);
  };
  ggml_tensor* q = product(l.normed);
  ggml_tensor* q_bias = ggml_add(c, q, l.leaf(GGML_TYPE_F32, 32, 1));
  ggml_tensor* turned = ggml_scale(c, q_bias, 2);
  ggml_tensor* k = product(l.normed);
  ggml_tensor* k_bias = ggml_add(c, k, l.leaf(GGML_TYPE_F32, 32, 1));
  ggml_tensor* v = product(l.normed);
  ggml_tensor* other = ggml_mul_mat(c, l.leaf(GGML_TYPE_Q8_0, 32, 32), turned);
  std::vector<ggml_tensor*> nodes = {l.norm, l.normed, q, q_bias, turned, k, k_bias, v, other};
  gather_products(nodes);
  report(
      nodes == std::vector<ggml_tensor*>{l.norm, l.normed, q, q_bias, k, k_bias, v, turned, other},
      "products with the same vectors come together, with their sums");
  nodes = {q, turned, k};
  gather_products({nodes.data(), 2});
  report(nodes[1] == turned && nodes[2] == k, "a part of a graph is left in its bounds");

  // Something is written into the weights, or into the vectors, between the products.
  ggml_tensor* weights = k->src[0];
  ggml_tensor* into_weights = ggml_cpy(c, l.leaf(GGML_TYPE_Q8_0, Layer::kWidth, 32), weights);
  nodes = {q, into_weights, k, v};
  gather_products(nodes);
  report(nodes == std::vector<ggml_tensor*>{q, v, into_weights, k},
         "a product stays behind what writes its weights; others pass");
  ggml_tensor* into_vectors = ggml_scale_inplace(c, l.normed, 2);
  nodes = {q, into_vectors, v};
  gather_products(nodes);
  report(nodes == std::vector<ggml_tensor*>{q, into_vectors, v},
         "a product stays behind what writes its vectors");
}

}  // namespace
}  // namespace npu::ggml

int main() {
  using namespace npu::ggml;
  test_whole_layer();
  test_sums();
  test_overlaps();
  test_others();
  test_ropes();
  test_order();
  return failures == 0 ? 0 : 1;
}
