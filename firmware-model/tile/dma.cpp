// SPDX-License-Identifier: Apache-2.0
// The DMA engines: LD, ST, GATHER, SCATTER. Elements are moved as bits, never converted.
//
// A tile in HBM that lies in one run of host memory is read and written in place. Any other is
// copied row by row; where the layout changes as well it goes through a staging buffer, so that
// layout code sees plain pointers only.
#include <cstring>

#include "firmware-model/tile/guest_access.h"
#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {
namespace {

constexpr uint32_t kAnyLayout = kRow | kPanel;

// One side of a copy in host memory; stride counts elements (ROW) or rows of a panel (PANEL).
struct View {
  std::byte* host;
  uint64_t stride;
  bool panel;
};

struct Shape {
  uint64_t rows;
  uint64_t cols;
  uint64_t elem_bytes;
};

uint64_t panels_of(const Shape& shape) {
  return (shape.cols + NPU_PANEL_COLS - 1) / NPU_PANEL_COLS;
}

void copy_rows(const View& d, const View& a, const Shape& shape) {
  uint64_t row_bytes = shape.cols * shape.elem_bytes;
  if (d.stride == shape.cols && a.stride == shape.cols) {
    std::memcpy(d.host, a.host, shape.rows * row_bytes);
    return;
  }
  for (uint64_t i = 0; i < shape.rows; ++i) {
    std::memcpy(d.host + i * d.stride * shape.elem_bytes, a.host + i * a.stride * shape.elem_bytes,
                row_bytes);
  }
}

void copy_panels(const View& d, const View& a, const Shape& shape) {
  uint64_t line_bytes = NPU_PANEL_COLS * shape.elem_bytes;
  for (uint64_t p = 0; p < panels_of(shape); ++p) {
    std::byte* to = d.host + p * d.stride * line_bytes;
    const std::byte* from = a.host + p * a.stride * line_bytes;
    uint64_t used_bytes = (shape.cols - p * NPU_PANEL_COLS) * shape.elem_bytes;
    if (used_bytes >= line_bytes) {
      std::memcpy(to, from, shape.rows * line_bytes);
      continue;
    }
    for (uint64_t i = 0; i < shape.rows; ++i, to += line_bytes, from += line_bytes) {
      std::memcpy(to, from, used_bytes);
      std::memset(to + used_bytes, 0, line_bytes - used_bytes);
    }
  }
}

void panels_to_rows(const View& d, const View& a, const Shape& shape) {
  uint64_t line_bytes = NPU_PANEL_COLS * shape.elem_bytes;
  for (uint64_t p = 0; p < panels_of(shape); ++p) {
    uint64_t left_bytes = (shape.cols - p * NPU_PANEL_COLS) * shape.elem_bytes;
    uint64_t part_bytes = left_bytes < line_bytes ? left_bytes : line_bytes;
    const std::byte* from = a.host + p * a.stride * line_bytes;
    std::byte* to = d.host + p * line_bytes;
    for (uint64_t i = 0; i < shape.rows; ++i) {
      std::memcpy(to + i * d.stride * shape.elem_bytes, from + i * line_bytes, part_bytes);
    }
  }
}

// d (ROW) = the transpose of a (PANEL); |shape| is d's.
void transpose_panels(const View& d, const View& a, const Shape& shape) {
  for (uint64_t i = 0; i < shape.rows; ++i) {
    const std::byte* from =
        a.host +
        (i / NPU_PANEL_COLS * a.stride * NPU_PANEL_COLS + i % NPU_PANEL_COLS) * shape.elem_bytes;
    std::byte* to = d.host + i * d.stride * shape.elem_bytes;
    for (uint64_t j = 0; j < shape.cols; ++j) {
      std::memcpy(to + j * shape.elem_bytes, from + j * NPU_PANEL_COLS * shape.elem_bytes,
                  shape.elem_bytes);
    }
  }
}

void pack(const Numerics& numerics, const View& d, const View& a, const Shape& shape,
          bool transposed) {
  PackArgs args{
      shape.rows, shape.cols, a.host, Elem::kF32, a.stride, transposed, d.stride * NPU_PANEL_COLS};
  if (shape.elem_bytes == 1) {
    numerics.pack_panel_u8(reinterpret_cast<uint8_t*>(d.host), args);
  } else if (shape.elem_bytes == sizeof(uint16_t)) {
    numerics.pack_panel_u16(reinterpret_cast<uint16_t*>(d.host), args);
  } else {
    numerics.pack_panel(reinterpret_cast<float*>(d.host), args);
  }
}

void transpose(const Numerics& numerics, const View& d, const View& a, const Shape& shape) {
  if (shape.elem_bytes == 1) {
    numerics.transpose_u8(reinterpret_cast<uint8_t*>(d.host), d.stride,
                          reinterpret_cast<const uint8_t*>(a.host), a.stride, shape.cols,
                          shape.rows);
  } else if (shape.elem_bytes == sizeof(uint16_t)) {
    numerics.transpose_u16(reinterpret_cast<uint16_t*>(d.host), d.stride,
                           reinterpret_cast<const uint16_t*>(a.host), a.stride, shape.cols,
                           shape.rows);
  } else {
    numerics.transpose_u32(reinterpret_cast<uint32_t*>(d.host), d.stride,
                           reinterpret_cast<const uint32_t*>(a.host), a.stride, shape.cols,
                           shape.rows);
  }
}

// d = a, or its transpose; |shape| is d's.
void copy_tile(const Numerics& numerics, const View& d, const View& a, const Shape& shape,
               bool transposed) {
  const GuestAccess access;
  if (d.panel && !a.panel) {
    pack(numerics, d, a, shape, transposed);
  } else if (d.panel) {
    copy_panels(d, a, shape);
  } else if (a.panel) {
    transposed ? transpose_panels(d, a, shape) : panels_to_rows(d, a, shape);
  } else {
    transposed ? transpose(numerics, d, a, shape) : copy_rows(d, a, shape);
  }
}

View view_of(const Operand& operand) {
  return {operand.host, operand.stride, operand.layout == NPU_LAYOUT_PANEL};
}

Shape shape_of(const Operand& operand) { return {operand.rows, operand.cols, operand.elem_bytes}; }

// A tile in HBM as pieces that are contiguous there and, densely packed, in a staging buffer: rows,
// or panels.
struct Pieces {
  uint64_t count;
  uint64_t bytes;
  uint64_t step_bytes;  // in HBM
};

Pieces pieces_of(const Operand& t) {
  if (t.layout == NPU_LAYOUT_PANEL) {
    uint64_t line_bytes = uint64_t{NPU_PANEL_COLS} * t.elem_bytes;
    return {panels_of(shape_of(t)), t.rows * line_bytes, t.stride * line_bytes};
  }
  if (t.contiguous()) return {1, t.data_bytes(), t.data_bytes()};
  return {t.rows, uint64_t{t.cols} * t.elem_bytes, t.stride_bytes()};
}

// The same tile, densely packed at |host|.
View dense_view(const Operand& t, std::byte* host) {
  bool panel = t.layout == NPU_LAYOUT_PANEL;
  return {host, panel ? t.rows : t.cols, panel};
}

bool read_pieces(Exec& exec, const Operand& from, std::byte* to, uint64_t step_bytes) {
  Pieces pieces = pieces_of(from);
  for (uint64_t i = 0; i < pieces.count; ++i) {
    uint64_t fault_dva = 0;
    if (!exec.group.memory.read(from.base + i * pieces.step_bytes, to + i * step_bytes,
                                pieces.bytes, &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_READ);
    }
  }
  return true;
}

bool write_pieces(Exec& exec, const Operand& to, const std::byte* from, uint64_t step_bytes) {
  Pieces pieces = pieces_of(to);
  for (uint64_t i = 0; i < pieces.count; ++i) {
    uint64_t fault_dva = 0;
    if (!exec.group.memory.write(to.base + i * pieces.step_bytes, from + i * step_bytes,
                                 pieces.bytes, &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_WRITE);
    }
  }
  return true;
}

bool copy_in(Exec& exec, const Operand& d, const Operand& a, bool transposed) {
  View from = view_of(a);
  if (a.space == NPU_SPACE_HBM) {
    exec.group.memory.begin_access();
    from.host = exec.group.memory.find_whole(a.base, a.extent_bytes, NPU_ACCESS_READ);
    if (from.host == nullptr) {
      bool plain = !transposed && d.layout == NPU_LAYOUT_ROW;
      if (plain && (d.contiguous() || !a.contiguous())) {
        return read_pieces(exec, a, d.host, d.stride_bytes());
      }
      from = dense_view(a, exec.group.staging[0].data());
      if (!read_pieces(exec, a, from.host, pieces_of(a).bytes)) return false;
    }
  }
  copy_tile(exec.numerics(), view_of(d), from, shape_of(d), transposed);
  return true;
}

bool copy_out(Exec& exec, const Operand& d, const Operand& a, bool transposed) {
  View to = view_of(d);
  if (d.space == NPU_SPACE_HBM) {
    exec.group.memory.begin_access();
    to.host = exec.group.memory.find_whole(d.base, d.extent_bytes, NPU_ACCESS_WRITE);
    if (to.host == nullptr) {
      View staged = dense_view(d, exec.group.staging[0].data());
      copy_tile(exec.numerics(), staged, view_of(a), shape_of(d), transposed);
      return write_pieces(exec, d, staged.host, pieces_of(d).bytes);
    }
  }
  copy_tile(exec.numerics(), to, view_of(a), shape_of(d), transposed);
  return true;
}

// Shapes and layouts of a copy between |outer| (HBM or L2) and |inner| (L1).
bool copy_fits(const Operand& d, const Operand& a, bool transposed) {
  if (d.dtype != a.dtype) return false;
  if (transposed) {
    return d.rows == a.cols && d.cols == a.rows &&
           (d.layout == NPU_LAYOUT_ROW || a.layout == NPU_LAYOUT_ROW);
  }
  return d.same_shape(a);
}

// Counts a copy that has been done: bytes that a fault kept from moving take no time and must not count.
void account(Exec& exec, const Operand& outer, uint64_t bytes, bool writes) {
  GroupStats& stats = exec.group.result->stats;
  if (outer.space != NPU_SPACE_HBM) {
    stats.l2_bytes += bytes;
    exec.latency_ps = exec.group.timing.l2_dma_ps(bytes);
    return;
  }
  (writes ? stats.hbm_write_bytes : stats.hbm_read_bytes) += bytes;
  exec.latency_ps = exec.group.outer_dma_ps(bytes, bytes);
}

// Reads element |i| of an index tile in its row-major order.
int32_t index_at(const Operand& t, uint64_t i) {
  int32_t index = 0;
  std::memcpy(&index, t.row(i / t.cols) + i % t.cols * sizeof(index), sizeof(index));
  return index;
}

// Checks GATHER (scatter = false) and SCATTER alike: |table| in HBM, |rows| in L1.
bool resolve_indexed(Exec& exec, bool scatter, Operand* table, Operand* rows, Operand* index) {
  OperandSlot table_slot = scatter ? kDst : kA;
  OperandSlot rows_slot = scatter ? kA : kDst;
  if (!exec.resolve(rows_slot, {kInL1, kAnyType}, rows) ||
      !exec.resolve(table_slot, {kInHbm, kAnyType}, table) ||
      !exec.resolve(kB, {kInL1, kI32}, index)) {
    return false;
  }
  bool fits =
      table->dtype == rows->dtype && table->cols == rows->cols && index->elements() == rows->rows;
  return fits || exec.mismatch();
}

// Device address of the table's row that index |i| names.
bool indexed_row(Exec& exec, const Operand& table, const Operand& index, uint64_t i,
                 uint64_t* dva) {
  int32_t row = index_at(index, i);
  if (row < 0 || static_cast<uint32_t>(row) >= table.rows) {
    return exec.fail(NPU_ST_KERNEL_BOUNDS, static_cast<uint64_t>(int64_t{row}));
  }
  *dva = table.base + static_cast<uint64_t>(row) * table.stride_bytes();
  return true;
}

}  // namespace

bool ld(Exec& exec) {
  Operand d, a;
  bool transposed = (exec.insn.flags & NPU_F_TRANS) != 0;
  if (!exec.resolve(kDst, {kInL1, kAnyType, kAnyLayout}, &d) ||
      !exec.resolve(kA, {kInHbm | kInL2, kAnyType, kAnyLayout}, &a)) {
    return false;
  }
  bool unpacks = a.layout == NPU_LAYOUT_PANEL && d.layout == NPU_LAYOUT_ROW;
  if (unpacks || !copy_fits(d, a, transposed)) return exec.mismatch();
  if (!d.empty() && !copy_in(exec, d, a, transposed)) return false;
  account(exec, a, d.data_bytes(), false);
  return true;
}

bool st(Exec& exec) {
  Operand d, a;
  bool transposed = (exec.insn.flags & NPU_F_TRANS) != 0;
  if (!exec.resolve(kA, {kInL1, kAnyType, kAnyLayout}, &a) ||
      !exec.resolve(kDst, {kInHbm | kInL2, kAnyType, kAnyLayout}, &d)) {
    return false;
  }
  bool packs = d.layout == NPU_LAYOUT_PANEL && a.layout == NPU_LAYOUT_ROW;
  if (packs || !copy_fits(d, a, transposed)) return exec.mismatch();
  if (!d.empty() && !copy_out(exec, d, a, transposed)) return false;
  account(exec, d, d.data_bytes(), true);
  return true;
}

bool gather(Exec& exec) {
  Operand table, rows, index;
  if (!resolve_indexed(exec, false, &table, &rows, &index)) return false;
  uint64_t row_bytes = uint64_t{rows.cols} * rows.elem_bytes;
  exec.group.memory.begin_access();
  for (uint64_t i = 0; i < rows.rows; ++i) {
    uint64_t dva = 0;
    uint64_t fault_dva = 0;
    if (!indexed_row(exec, table, index, i, &dva)) return false;
    if (!exec.group.memory.read(dva, rows.row(i), row_bytes, &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_READ);
    }
  }
  account(exec, table, rows.data_bytes(), false);
  return true;
}

bool scatter(Exec& exec) {
  Operand table, rows, index;
  if (!resolve_indexed(exec, true, &table, &rows, &index)) return false;
  uint64_t row_bytes = uint64_t{rows.cols} * rows.elem_bytes;
  exec.group.memory.begin_access();
  for (uint64_t i = 0; i < rows.rows; ++i) {
    uint64_t dva = 0;
    uint64_t fault_dva = 0;
    if (!indexed_row(exec, table, index, i, &dva)) return false;
    if (!exec.group.memory.write(dva, rows.row(i), row_bytes, &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_WRITE);
    }
  }
  account(exec, table, rows.data_bytes(), true);
  return true;
}

}  // namespace npu::model
