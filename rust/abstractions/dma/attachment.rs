// SPDX-License-Identifier: GPL-2.0

//! dma-bufs of other devices, as the importer sees them.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)

use core::{
    ops::Range,
    ptr::{
        from_ref,
        NonNull, //
    }, //
};

use kernel::{
    device,
    dma::DataDirection,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    scatterlist::SGTable,
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// A `struct dma_buf`.
///
/// # Invariants
///
/// Wraps a dma-buf that somebody holds a reference on.
#[repr(transparent)]
pub(crate) struct DmaBuf(Opaque<bindings::dma_buf>);

impl DmaBuf {
    /// # Safety
    ///
    /// `ptr` must point to a dma-buf that is alive during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::dma_buf) -> &'a Self {
        // SAFETY: By this function's requirements; `DmaBuf` is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The C dma-buf.
    pub(crate) fn as_raw(&self) -> *mut bindings::dma_buf {
        self.0.get()
    }

    /// Its reservation object.
    pub(crate) fn resv(&self) -> *mut bindings::dma_resv {
        // SAFETY: Constant.
        unsafe { (*self.as_raw()).resv }
    }

    /// The number of its inode, which all files of it have in common.
    pub(crate) fn inode(&self) -> u64 {
        // SAFETY: A dma-buf has a file, and that an inode, as long as it lives.
        unsafe { (*(*(*self.as_raw()).file).f_inode).i_ino }
    }

    /// Bytes.
    pub(crate) fn size(&self) -> usize {
        // SAFETY: Constant.
        unsafe { (*self.as_raw()).size }
    }

    /// Whether its file was opened for writing.
    pub(crate) fn is_writable(&self) -> bool {
        // SAFETY: The mode is constant.
        unsafe { (*(*self.as_raw()).file).f_mode & bindings::FMODE_WRITE != 0 }
    }
}

/// The attachment of a device to a dma-buf of another one. Dropping it detaches the device.
///
/// # Invariants
///
/// The attachment is valid, and this value owns a reference on its dma-buf.
pub(crate) struct Attachment(NonNull<bindings::dma_buf_attachment>);

// SAFETY: An attachment belongs to no thread.
unsafe impl Send for Attachment {}

// SAFETY: What `&Attachment` gives access to is constant, or protected by resv.
unsafe impl Sync for Attachment {}

impl Attachment {
    /// Attaches a device (`dma_buf_dynamic_attach()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`; what the exporter refuses it with.
    ///
    /// # Safety
    ///
    /// `data` must be what the functions of `ops` expect, until the attachment is dropped.
    pub(crate) unsafe fn new(
        dev: &device::Device,
        buf: &DmaBuf,
        ops: &'static bindings::dma_buf_attach_ops,
        data: *mut c_void,
    ) -> Result<Self> {
        // SAFETY: Both are valid. The attachment keeps the dma-buf's file, and the caller keeps the
        // device.
        unsafe {
            let dev = from_ref(dev).cast_mut().cast();
            let raw = from_err_ptr(bindings::dma_buf_dynamic_attach(
                buf.as_raw(),
                dev,
                ops,
                data,
            ))?;

            bindings::get_file((*buf.as_raw()).file);
            // INVARIANT: Just attached, and the reference is ours.
            NonNull::new(raw).map(Self).ok_or(ENOMEM)
        }
    }

    /// The dma-buf.
    pub(crate) fn buf(&self) -> &DmaBuf {
        // SAFETY: By the type invariant.
        unsafe { DmaBuf::from_raw((*self.0.as_ptr()).dmabuf) }
    }

    /// The C attachment.
    pub(crate) fn as_raw(&self) -> *mut bindings::dma_buf_attachment {
        self.0.as_ptr()
    }

    fn direction(&self) -> DataDirection {
        if self.buf().is_writable() {
            DataDirection::Bidirectional
        } else {
            DataDirection::ToDevice
        }
    }

    /// Maps the memory for the device (`dma_buf_map_attachment()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`; those of the exporter.
    ///
    /// # Safety
    ///
    /// resv must be held, also when the mapping is dropped, and the attachment outlive the mapping.
    pub(crate) unsafe fn map(&self) -> Result<AttachedMapping> {
        let direction = self.direction();
        // SAFETY: By this function's requirements.
        let table = from_err_ptr(unsafe {
            bindings::dma_buf_map_attachment(self.as_raw(), direction.into())
        })?;
        // INVARIANT: Just mapped.
        let mut this = AttachedMapping {
            attachment: self.0,
            direction,
            table: NonNull::new(table).ok_or(ENOMEM)?,
            ranges: KVVec::new(),
        };

        // SAFETY: The table is valid, and mapped.
        for entry in unsafe { SGTable::from_raw(table) }.iter() {
            let start = entry.dma_address();
            let end = start + entry.dma_len();

            this.ranges.push(start..end, GFP_KERNEL)?;
        }
        Ok(this)
    }

    /// Copies between memory of the kernel and the dma-buf with the CPU, as its exporter maps it
    /// (`dma_buf_vmap()`). resv must not be held.
    ///
    /// # Errors
    ///
    /// `EIO` for bytes beyond its end; those of the exporter.
    pub(crate) fn access(&self, offset: usize, bytes: &mut [u8], write: bool) -> Result {
        let buf = self.buf().as_raw();
        let direction = if write {
            DataDirection::ToDevice
        } else {
            DataDirection::FromDevice
        };
        let mut map = bindings::iosys_map::default();

        if bytes.len() > self.buf().size().saturating_sub(offset) {
            return Err(EIO);
        }
        // SAFETY: The dma-buf is valid. The bytes are inside of it, and of `bytes`.
        unsafe {
            to_result(bindings::dma_buf_begin_cpu_access(buf, direction.into()))?;
            let result = to_result(bindings::dma_buf_vmap_unlocked(buf, &mut map));

            if result.is_ok() {
                if write {
                    bindings::iosys_map_memcpy_to(
                        &mut map,
                        offset,
                        bytes.as_ptr().cast(),
                        bytes.len(),
                    );
                } else {
                    bindings::iosys_map_memcpy_from(
                        bytes.as_mut_ptr().cast(),
                        &map,
                        offset,
                        bytes.len(),
                    );
                }
                bindings::dma_buf_vunmap_unlocked(buf, &mut map);
            }
            to_result(bindings::dma_buf_end_cpu_access(buf, direction.into()))?;
            result
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            let buf = self.buf().as_raw();
            let file = (*buf).file;

            bindings::dma_buf_detach(buf, self.as_raw());
            bindings::fput(file);
        }
    }
}

/// A dma-buf that is mapped for a device. Dropping it, with resv held, unmaps it.
///
/// # Invariants
///
/// `table` is the mapping that the exporter made for `attachment`.
pub(crate) struct AttachedMapping {
    attachment: NonNull<bindings::dma_buf_attachment>,
    direction: DataDirection,
    table: NonNull<bindings::sg_table>,
    ranges: KVVec<Range<u64>>,
}

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for AttachedMapping {}

impl AttachedMapping {
    /// The bus addresses, in order.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }
}

impl Drop for AttachedMapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant and the requirements of `map`.
        unsafe {
            bindings::dma_buf_unmap_attachment(
                self.attachment.as_ptr(),
                self.table.as_ptr(),
                self.direction.into(),
            )
        };
    }
}
