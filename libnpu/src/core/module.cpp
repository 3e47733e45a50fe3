// SPDX-License-Identifier: Apache-2.0
// Loading of blobs and the handles of their kernels.
#include "libnpu/src/core/module.h"


#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/handle.h"

namespace npu {
namespace {

// The reason of the device, with the place in the blob that it names.
Status refused(Status status, const npu_completion& record, const Result<Image>& image,
               Image* kernels) {
  const StatusText* text = find_status_text(status.code());
  const char* cause = text != nullptr ? text->cause : "the device refused the blob";
  const bool has_place =
      status.code() == NPU_ERROR_BLOB_INSTRUCTION || status.code() == NPU_ERROR_BLOB_TOO_LARGE;
  if (!has_place || !image.is_ok() || record.kernel >= kernels->kernels.size()) {
    return fail(status.code(), "%s", cause);
  }
  return fail(status.code(), "%s: kernel '%s', instruction %u", cause,
              kernels->kernels[record.kernel].note.name, record.pc);
}

}  // namespace

Module::Module(Ref<Context> context, uint32_t number, std::shared_ptr<const Image> image)
    : Object(kKind), context_(std::move(context)), number_(number), image_(std::move(image)) {
  kernel_handles_.assign(image_->kernels.size(), 0);
}

Result<Ref<Module>> Module::load(Ref<Context> context, std::span<const std::byte> blob) {
  if (blob.empty()) return fail(NPU_ERROR_BLOB_FORMAT, "the blob is empty");
  if (blob.size() > NPU_BLOB_MAX_BYTES) {
    return fail(NPU_ERROR_BLOB_TOO_LARGE, "the blob has %zu bytes, the limit is %u", blob.size(),
                NPU_BLOB_MAX_BYTES);
  }
  Memory& memory = context->memory();
  NPU_TRY_ASSIGN(const uint64_t dva, memory.allocate(Region::kHbm, blob.size()));
  npu_completion record{};
  auto loaded = [&]() -> Result<uint32_t> {
    // The view keeps the memory, whoever ends the context meanwhile.
    NPU_TRY_ASSIGN(const HostView host, memory.view(dva, blob.size(), "the blob"));
    host.write(0, blob.data(), blob.size());
    return context->loader().load(*context, dva, blob.size(), &record);
  }();
  // The device has its own copy.
  auto detached = memory.detach(dva);
  if (detached.is_ok()) memory.reclaim(detached.take());

  if (!loaded.is_ok() && loaded.status().code() == NPU_ERROR_OUT_OF_MODULES) {
    return fail(NPU_ERROR_OUT_OF_MODULES, "the context holds as many modules as it can");
  }
  if (!loaded.is_ok() && loaded.status().code() > -210) return loaded.status();
  auto image = read_image(blob);
  // The device looks for the signature at the end first. What is no blob at all is not to be signed, but to be made.
  if (!image.is_ok() && loaded.status().code() == NPU_ERROR_BLOB_UNSIGNED) return image.status();
  if (!loaded.is_ok()) {
    Image* kernels = image.is_ok() ? &image.value() : nullptr;
    return refused(loaded.status(), record, image, kernels);
  }
  if (!image.is_ok()) {
    context->loader().unload(loaded.value());
    return image.status();
  }
  auto shared = std::make_shared<const Image>(image.take());
  context->remember_image(loaded.value(), shared);
  return Ref<Module>::adopt(new Module(std::move(context), loaded.value(), std::move(shared)));
}

uint64_t Module::kernel_handle(uint32_t index, HandleTable& handles) {
  std::lock_guard lock(mutex_);
  if (closed_) return 0;
  if (kernel_handles_[index] == 0) {
    Ref<Kernel> kernel = make_ref<Kernel>(Ref<Module>::share(this), index);
    kernel_handles_[index] = handles.insert(Ref<Object>::adopt(kernel.leak()));
  }
  return kernel_handles_[index];
}

void Module::end(HandleTable& handles) {
  std::vector<uint64_t> kernels;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    kernels.swap(kernel_handles_);
  }
  for (const uint64_t handle : kernels) {
    if (handle != 0) handles.remove(handle, Kind::kKernel);
  }
  context_->retire(RetiredModule{number_});
}

}  // namespace npu
