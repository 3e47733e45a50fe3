// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>

namespace npu {
namespace {

TEST(ErrorTest, ErrnoMeansTheSameEverywhere) {
  EXPECT_EQ(result_of_errno(ENOSPC), NPU_ERROR_OUT_OF_DEVICE_MEMORY);
  EXPECT_EQ(result_of_errno(ENOMEM), NPU_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(result_of_errno(EDQUOT), NPU_ERROR_QUOTA);
  EXPECT_EQ(result_of_errno(ENODEV), NPU_ERROR_DEVICE_LOST);
  EXPECT_EQ(result_of_errno(EIO), NPU_ERROR_DEVICE_LOST);
  EXPECT_EQ(result_of_errno(EINVAL), NPU_ERROR_DRIVER);
  EXPECT_EQ(result_of_errno(12345), NPU_ERROR_DRIVER);
}

TEST(ErrorTest, AnErrnoMayKnowABetterRemedyThanItsCode) {
  commit_error("npuTest", fail_call(EIO, "waiting").code());
  EXPECT_EQ(last_error().code, NPU_ERROR_DEVICE_LOST);
  EXPECT_NE(std::strstr(last_error().remedy, "modprobe"), nullptr) << last_error().remedy;
  commit_error("npuTest", fail_call(ENODEV, "waiting").code());
  EXPECT_STREQ(last_error().remedy, find_status_text(NPU_ERROR_DEVICE_LOST)->remedy);
  commit_error("npuTest", fail_call(ENOTTY, "asking").code());
  EXPECT_EQ(last_error().code, NPU_ERROR_VERSION_SKEW);
  // The remedy belongs to the meaning, not to the number: where EIO is about a file, it is not told.
  commit_error("npuTest", fail_errno(NPU_ERROR_FILE, EIO, "reading").code());
  EXPECT_STREQ(last_error().remedy, find_status_text(NPU_ERROR_FILE)->remedy);
}

TEST(ErrorTest, OnlyCommittedDetailsAreSeen) {
  const Status inner = fail(NPU_ERROR_QUOTA, "handled inside");
  EXPECT_EQ(inner.code(), NPU_ERROR_QUOTA);
  const Status outer = fail_errno(NPU_ERROR_FILE, ENOENT, "reading %s failed", "x");
  set_remedy("look for %s", "x");
  EXPECT_EQ(commit_error("npuTest", outer.code()), NPU_ERROR_FILE);
  EXPECT_STREQ(last_error().function, "npuTest");
  EXPECT_EQ(last_error().sys_errno, ENOENT);
  EXPECT_NE(std::strstr(last_error().text, "reading x failed"), nullptr);
  EXPECT_STREQ(last_error().remedy, "look for x");
}

TEST(ErrorTest, AnErrorWithoutDetailHasTheTextOfItsCode) {
  commit_error("npuTest", NPU_ERROR_BUSY);
  EXPECT_STREQ(last_error().text, find_status_text(NPU_ERROR_BUSY)->cause);
  EXPECT_STREQ(last_error().remedy, find_status_text(NPU_ERROR_BUSY)->remedy);
}

TEST(ErrorTest, LongTextsAreCut) {
  const std::string text(5000, 'x');
  const Status status = fail_errno(NPU_ERROR_FILE, EIO, "%s", text.c_str());
  commit_error("npuTest", status.code());
  EXPECT_EQ(std::strlen(last_error().text), sizeof last_error().text - 1);
}

TEST(ErrorTest, ThreadsHaveTheirOwn) {
  commit_error("npuTest", NPU_ERROR_BUSY);
  npuResult other = NPU_ERROR_BUSY;
  std::thread([&] { other = last_error().code; }).join();
  EXPECT_EQ(other, NPU_OK);
  EXPECT_EQ(last_error().code, NPU_ERROR_BUSY);
}

}  // namespace
}  // namespace npu
