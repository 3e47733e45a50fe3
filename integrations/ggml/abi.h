// SPDX-License-Identifier: Apache-2.0
// The tables of function pointers that a ggml backend hands out, API version 3 (Debian's libggml 0.27). ggml does not install the header that declares them; the order of the
// slots was read from the accessors in libggml-base.so.0.27.0. A slot marked "may be NULL" is one that ggml looks at before it calls.
// The version is one number that ggml compares at load time: another layout is another number, and registration.cpp refuses what it does not know.
#ifndef INTEGRATIONS_GGML_ABI_H_
#define INTEGRATIONS_GGML_ABI_H_

#include <ggml-backend.h>
#include <ggml.h>

#include <cstddef>
#include <cstdint>

namespace npu::ggml {

inline constexpr int kApiVersion = 3;

struct BufferTypeTable {
  const char* (*get_name)(ggml_backend_buffer_type_t);
  ggml_backend_buffer_t (*alloc_buffer)(ggml_backend_buffer_type_t, size_t size_bytes);
  ggml_backend_buffer_t (*alloc_buffer_n)(ggml_backend_buffer_type_t, ggml_tensor**,
                                          int);  // may be NULL
  size_t (*get_alignment)(ggml_backend_buffer_type_t);
  size_t (*get_max_size)(ggml_backend_buffer_type_t);                          // may be NULL
  size_t (*get_alloc_size)(ggml_backend_buffer_type_t, const ggml_tensor*);    // may be NULL
  size_t (*get_alloc_size_n)(ggml_backend_buffer_type_t, ggml_tensor**, int);  // may be NULL
  bool (*is_host)(ggml_backend_buffer_type_t);                                 // may be NULL
};

struct BufferType {
  BufferTypeTable table;
  ggml_backend_dev_t device;
  void* context;
};

struct BufferTable {
  void (*free_buffer)(ggml_backend_buffer_t);  // may be NULL
  void* (*get_base)(ggml_backend_buffer_t);
  ggml_status (*init_tensor)(ggml_backend_buffer_t, ggml_tensor*);  // may be NULL
  void (*memset_tensor)(ggml_backend_buffer_t, ggml_tensor*, uint8_t, size_t offset, size_t bytes);
  void (*set_tensor)(ggml_backend_buffer_t, ggml_tensor*, const void*, size_t offset, size_t bytes);
  void (*get_tensor)(ggml_backend_buffer_t, const ggml_tensor*, void*, size_t offset, size_t bytes);
  void (*set_tensor_2d)(ggml_backend_buffer_t, ggml_tensor*, const void*, size_t offset,
                        size_t bytes, size_t count, size_t stride_tensor,
                        size_t stride_data);  // may be NULL
  void (*get_tensor_2d)(ggml_backend_buffer_t, const ggml_tensor*, void*, size_t offset,
                        size_t bytes, size_t count, size_t stride_tensor,
                        size_t stride_data);                                    // may be NULL
  bool (*cpy_tensor)(ggml_backend_buffer_t, const ggml_tensor*, ggml_tensor*);  // may be NULL
  void (*clear)(ggml_backend_buffer_t, uint8_t);
  void (*reset)(ggml_backend_buffer_t);  // may be NULL
};

struct StreamTable {
  const char* (*get_name)(ggml_backend_t);
  void (*free)(ggml_backend_t);
  void (*set_tensor_async)(ggml_backend_t, ggml_tensor*, const void*, size_t offset,
                           size_t bytes);  // may be NULL
  void (*get_tensor_async)(ggml_backend_t, const ggml_tensor*, void*, size_t offset,
                           size_t bytes);  // may be NULL
  void (*set_tensor_2d_async)(ggml_backend_t, ggml_tensor*, const void*, size_t, size_t, size_t,
                              size_t, size_t);  // may be NULL
  void (*get_tensor_2d_async)(ggml_backend_t, const ggml_tensor*, void*, size_t, size_t, size_t,
                              size_t, size_t);  // may be NULL
  bool (*cpy_tensor_async)(ggml_backend_t from, ggml_backend_t to, const ggml_tensor*,
                           ggml_tensor*);  // may be NULL
  void (*synchronize)(ggml_backend_t);     // may be NULL
  void* graph_plans[4];                    // not used by ggml's scheduler
  ggml_status (*graph_compute)(ggml_backend_t, ggml_cgraph*);
  void (*event_record)(ggml_backend_t, ggml_backend_event_t);  // may be NULL
  void (*event_wait)(ggml_backend_t, ggml_backend_event_t);    // may be NULL
  void (*graph_optimize)(ggml_backend_t, ggml_cgraph*);        // may be NULL
};

struct StreamHead {
  ggml_guid_t guid;
  StreamTable table;
  ggml_backend_dev_t device;
  void* context;
};

struct EventHead {
  ggml_backend_dev_t device;
  void* context;
};

struct DeviceTable {
  const char* (*get_name)(ggml_backend_dev_t);
  const char* (*get_description)(ggml_backend_dev_t);
  void (*get_memory)(ggml_backend_dev_t, size_t* free_bytes, size_t* total_bytes);
  enum ggml_backend_dev_type (*get_type)(ggml_backend_dev_t);
  void (*get_props)(ggml_backend_dev_t, ggml_backend_dev_props*);
  ggml_backend_t (*init_backend)(ggml_backend_dev_t, const char* parameters);
  ggml_backend_buffer_type_t (*get_buffer_type)(ggml_backend_dev_t);
  ggml_backend_buffer_type_t (*get_host_buffer_type)(ggml_backend_dev_t);  // may be NULL
  ggml_backend_buffer_t (*buffer_from_host_ptr)(ggml_backend_dev_t, void*, size_t,
                                                size_t);  // may be NULL
  bool (*supports_op)(ggml_backend_dev_t, const ggml_tensor*);
  bool (*supports_buft)(ggml_backend_dev_t, ggml_backend_buffer_type_t);
  bool (*offload_op)(ggml_backend_dev_t, const ggml_tensor*);           // may be NULL
  ggml_backend_event_t (*event_new)(ggml_backend_dev_t);                // may be NULL
  void (*event_free)(ggml_backend_dev_t, ggml_backend_event_t);         // may be NULL
  void (*event_synchronize)(ggml_backend_dev_t, ggml_backend_event_t);  // may be NULL
};

struct DeviceHead {
  DeviceTable table;
  ggml_backend_reg_t registration;
  void* context;
};

struct RegistrationTable {
  const char* (*get_name)(ggml_backend_reg_t);
  size_t (*get_device_count)(ggml_backend_reg_t);
  ggml_backend_dev_t (*get_device)(ggml_backend_reg_t, size_t);
  void* (*get_proc_address)(ggml_backend_reg_t, const char*);  // may be NULL
};

struct Registration {
  int api_version;
  RegistrationTable table;
  void* context;
};

}  // namespace npu::ggml

// Of libggml-base: makes a buffer that holds the table and calls it.
extern "C" ggml_backend_buffer_t ggml_backend_buffer_init(ggml_backend_buffer_type_t,
                                                          npu::ggml::BufferTable, void* context,
                                                          size_t size_bytes);

#endif  // INTEGRATIONS_GGML_ABI_H_
