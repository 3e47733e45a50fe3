// SPDX-License-Identifier: Apache-2.0
// Loading of blobs and the handles of their kernels.
#include "libnpu/src/core/module.h"

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
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

// Before anybody looks at the bytes: the size may be nonsense.
Status check_size(std::span<const std::byte> blob) {
  if (blob.empty()) return fail(NPU_ERROR_BLOB_FORMAT, "the blob is empty");
  if (blob.size() > NPU_BLOB_MAX_BYTES) {
    return fail(NPU_ERROR_BLOB_TOO_LARGE, "the blob has %zu bytes, the limit is %u", blob.size(),
                NPU_BLOB_MAX_BYTES);
  }
  return Status::ok();
}

// What the device says of the blob: it is loaded, or with |check_only| would be.
Result<Image> ask_device(Context& context, std::span<const std::byte> blob, bool check_only,
                         uint32_t* out_number) {
  Memory& memory = context.memory();
  NPU_TRY_ASSIGN(const uint64_t dva, memory.allocate(Region::kHbm, blob.size()));
  npu_completion record{};
  auto loaded = [&]() -> Result<uint32_t> {
    // The view keeps the memory, whoever ends the context meanwhile.
    NPU_TRY_ASSIGN(const HostView host, memory.view(dva, blob.size(), "the blob"));
    host.write(0, blob.data(), blob.size());
    return context.loader().load(context, dva, blob.size(), check_only, &record);
  }();
  // The device has its own copy.
  auto detached = memory.detach(dva);
  if (detached.is_ok()) memory.reclaim(detached.take());

  if (!loaded.is_ok() && loaded.status().code() == NPU_ERROR_OUT_OF_MODULES) {
    return fail(NPU_ERROR_OUT_OF_MODULES, "the context holds as many modules as it can");
  }
  if (check_only && loaded.status().code() == NPU_ERROR_BAD_COMMAND) {
    return fail(NPU_ERROR_NOT_SUPPORTED, "the device's firmware cannot check without loading");
  }
  if (!loaded.is_ok() && loaded.status().code() > -210) return loaded.status();
  auto image = read_image(blob);
  // The device looks for the signature at the end first. What is no blob at all is not to be signed, but to be made.
  if (!image.is_ok() && loaded.status().code() == NPU_ERROR_BLOB_UNSIGNED) return image.status();
  if (!loaded.is_ok()) {
    Image* kernels = image.is_ok() ? &image.value() : nullptr;
    return refused(loaded.status(), record, image, kernels);
  }
  *out_number = loaded.value();
  if (!image.is_ok() && !check_only) context.loader().unload(loaded.value());
  return image;
}

}  // namespace

Module::Module(Ref<Context> context, std::shared_ptr<LoadedCode> code)
    : Object(kKind), context_(std::move(context)), code_(std::move(code)) {
  kernel_handles_.assign(image().kernels.size(), 0);
}

Result<Ref<Module>> Module::load(Ref<Context> context, std::span<const std::byte> blob) {
  NPU_TRY(check_size(blob));
  const auto load_new = [&]() -> Result<std::shared_ptr<LoadedCode>> {
    auto code = std::make_shared<LoadedCode>();
    NPU_TRY_ASSIGN(Image image, ask_device(*context, blob, false, &code->number));
    code->image = std::make_shared<const Image>(std::move(image));
    context->remember_image(code->number, code->image);
    return code;
  };
  NPU_TRY_ASSIGN(std::shared_ptr<LoadedCode> code, context->code_cache().acquire(blob, load_new));
  return Ref<Module>::adopt(new Module(std::move(context), std::move(code)));
}

// In an address space of its own, which is gone afterwards.
Status Module::check(Device& device, std::span<const std::byte> blob, HandleTable& handles) {
  NPU_TRY(check_size(blob));
  NPU_TRY_ASSIGN(Ref<Context> context, Context::create(Ref<Device>::share(&device)));
  uint32_t number = 0;
  const Status status = ask_device(*context, blob, true, &number).status();
  context->end(handles);
  return status;
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
  if (context_->code_cache().release(*code_)) context_->retire(RetiredModule{number()});
}

}  // namespace npu
