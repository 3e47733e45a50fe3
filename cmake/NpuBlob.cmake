# SPDX-License-Identifier: Apache-2.0
# npu_blob(): a signed firmware blob, made by a generator program of ours.
#
#   npu_blob(npu_ops_blob npu_ops.nfw npu-kernels-gen)   target, file name, generator: a target whose program writes the ELF that its one
#                                                        argument names
#
# The blob is ${PROJECT_BINARY_DIR}/blobs/<file name>; the target property NPU_BLOB_FILE holds that path. It is signed with the key of this
# build tree, which is made once, when first needed, and lies in ${PROJECT_BINARY_DIR}/keys: build.key (secret), build.pub. Devices of this
# build tree accept that key. A rebuilt npu-fw never replaces it.
set(NPU_KEYS_DIR "${PROJECT_BINARY_DIR}/keys")

function(npu_blob target file generator)
  set(key "${NPU_KEYS_DIR}/build.key")
  if(NOT TARGET npu_build_key)
    set(script "${PROJECT_BINARY_DIR}/make_build_key.cmake")
    file(WRITE "${script}.new" [[
if(NOT EXISTS "${KEYS}/build.key" OR NOT EXISTS "${KEYS}/build.pub")
  file(REMOVE "${KEYS}/build.key" "${KEYS}/build.pub")
  file(MAKE_DIRECTORY "${KEYS}")
  execute_process(COMMAND "${NPU_FW}" keygen "${KEYS}/build" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()
]])
    file(COPY_FILE "${script}.new" "${script}" ONLY_IF_DIFFERENT)
    add_custom_target(npu_build_key
      COMMAND "${CMAKE_COMMAND}" "-DKEYS=${NPU_KEYS_DIR}" "-DNPU_FW=$<TARGET_FILE:npu-fw>" -P "${script}"
      BYPRODUCTS "${key}" "${NPU_KEYS_DIR}/build.pub" VERBATIM)
    add_dependencies(npu_build_key npu-fw)
    install(FILES "${NPU_KEYS_DIR}/build.pub" DESTINATION "${CMAKE_INSTALL_DATADIR}/npu/keys")
  endif()
  set(out "${PROJECT_BINARY_DIR}/blobs/${file}")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/blobs")
  add_custom_command(OUTPUT "${out}"
    COMMAND ${generator} "${out}.elf"
    COMMAND npu-fw sign "${out}.elf" -k "${key}" -o "${out}"
    DEPENDS ${generator} npu-fw "${key}" npu_build_key
    COMMENT "Signing ${file}" VERBATIM)
  add_custom_target(${target} ALL DEPENDS "${out}")
  add_dependencies(${target} npu_build_key)
  set_target_properties(${target} PROPERTIES NPU_BLOB_FILE "${out}")
endfunction()
