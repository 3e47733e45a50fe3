# SPDX-License-Identifier: Apache-2.0
# npu_blob(): a signed firmware blob, made by a generator program of ours.
#
#   npu_blob(npu_ops_blob npu_ops.nfw npu-kernels-gen)   target, file name, generator: a target whose program writes the ELF that its one
#                                                        argument names
#   npu_firmware_image(npu_firmware npu/npu_v1.bin 1.0.0 npu_v1.s)
#                                                        target, file name, version, assembler text: a FIRMWARE image that a device boots
#
# The blob is ${PROJECT_BINARY_DIR}/blobs/<file name>; the target property NPU_BLOB_FILE holds that path. It is signed with the key of this
# build tree, which is made once, when first needed, and lies in ${PROJECT_BINARY_DIR}/keys: build.key (secret), build.pub. Devices of this
# build tree accept that key. A rebuilt npu-fw never replaces it.
set(NPU_KEYS_DIR "${PROJECT_BINARY_DIR}/keys")

function(npu_build_key)
  set(key "${NPU_KEYS_DIR}/build.key")
  if(TARGET npu_build_key)
    return()
  endif()
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
endfunction()

# The rest of both: a target that makes |file| by the commands given as MAKE (they write ${out}.elf), and signs it.
function(npu_signed_image target file)
  cmake_parse_arguments(PARSE_ARGV 2 image "" "" "MAKE;DEPENDS")
  npu_build_key()
  set(key "${NPU_KEYS_DIR}/build.key")
  set(out "${PROJECT_BINARY_DIR}/blobs/${file}")
  cmake_path(GET out PARENT_PATH folder)
  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(OUTPUT "${out}"
    COMMAND ${image_MAKE}
    COMMAND npu-fw sign "${out}.elf" -k "${key}" -o "${out}"
    DEPENDS ${image_DEPENDS} npu-fw "${key}" npu_build_key
    COMMENT "Signing ${file}" VERBATIM)
  add_custom_target(${target} ALL DEPENDS "${out}")
  add_dependencies(${target} npu_build_key)
  set_target_properties(${target} PROPERTIES NPU_BLOB_FILE "${out}")
endfunction()

function(npu_blob target file generator)
  npu_signed_image(${target} ${file} MAKE ${generator} "${PROJECT_BINARY_DIR}/blobs/${file}.elf" DEPENDS ${generator})
endfunction()

function(npu_firmware_image target file version source)
  set(program "${CMAKE_CURRENT_SOURCE_DIR}/${source}")
  npu_signed_image(${target} ${file}
    MAKE npu-fw pack --firmware ${version} "${program}" -o "${PROJECT_BINARY_DIR}/blobs/${file}.elf"
    DEPENDS "${program}")
endfunction()
