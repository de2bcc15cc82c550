//! What another process was started with, read from its memory: where the system keeps it for every process, at
//! places that have not moved since Windows Vista.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessBasicInformation};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Threading::{
    PEB, PROCESS_BASIC_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_VM_READ,
    RTL_USER_PROCESS_PARAMETERS,
};

use super::handle::{check, check_status, open_process};

/// The environment's address comes behind what the structure declares, and its size far behind that.
const ENVIRONMENT: usize = size_of::<RTL_USER_PROCESS_PARAMETERS>();
const ENVIRONMENT_SIZE: usize = if cfg!(target_pointer_width = "64") { 0x3f0 } else { 0x290 };
/// No more of an environment is looked at.
const MAX_ENVIRONMENT_BYTES: usize = 1024 * 1024;

/// An open process, and where its parameters are.
struct Parameters {
    process: OwnedHandle,
    at: usize,
}

/// Its command line, as it was given.
pub(super) fn command_line(pid: u32) -> io::Result<Vec<u16>> {
    let parameters = Parameters::of(pid)?;
    // SAFETY: a structure of numbers and addresses, which may have any value; no address is followed here.
    let head: RTL_USER_PROCESS_PARAMETERS = unsafe { parameters.structure(parameters.at) }?;
    parameters.units(head.CommandLine.Buffer.addr(), usize::from(head.CommandLine.Length))
}

/// Its environment: `NAME=value` texts, each ended by a zero. The process may have changed it since it was started. A
/// process that is being started may have no environment yet, which is an error, since it will have one.
pub(super) fn environment(pid: u32) -> io::Result<Vec<u16>> {
    let parameters = Parameters::of(pid)?;
    // SAFETY: numbers.
    let (at, size) = unsafe {
        let at: usize = parameters.structure(parameters.at.wrapping_add(ENVIRONMENT))?;
        let size: usize = parameters.structure(parameters.at.wrapping_add(ENVIRONMENT_SIZE))?;
        (at, size)
    };
    if at == 0 || size == 0 {
        return Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "it is being started and has no environment yet",
        ));
    }
    parameters.units(at, size.min(MAX_ENVIRONMENT_BYTES))
}

impl Parameters {
    fn of(pid: u32) -> io::Result<Parameters> {
        let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ;
        let process = open_process(pid, access)?.ok_or(io::ErrorKind::NotFound)?;
        let mut basic = PROCESS_BASIC_INFORMATION::default();
        // SAFETY: an open handle, and a structure of the class and size given.
        check_status(unsafe {
            NtQueryInformationProcess(
                process.as_raw_handle(),
                ProcessBasicInformation,
                (&raw mut basic).cast(),
                size_of::<PROCESS_BASIC_INFORMATION>() as u32,
                std::ptr::null_mut(),
            )
        })?;
        let mut parameters = Parameters { process, at: 0 };
        let place = basic.PebBaseAddress.addr().wrapping_add(std::mem::offset_of!(PEB, ProcessParameters));
        // SAFETY: a number.
        parameters.at = unsafe { parameters.structure(place) }?;
        Ok(parameters)
    }

    /// # Safety
    /// Any bytes make a valid `T`.
    unsafe fn structure<T: Default>(&self, at: usize) -> io::Result<T> {
        let mut value = T::default();
        // SAFETY: a place for that many bytes, which may have any value by this function's contract.
        unsafe { self.read(at, (&raw mut value).cast(), size_of::<T>()) }?;
        Ok(value)
    }

    fn units(&self, at: usize, bytes: usize) -> io::Result<Vec<u16>> {
        let mut units = vec![0_u16; bytes / 2];
        if !units.is_empty() {
            // SAFETY: a place for that many bytes; numbers may have any value.
            unsafe { self.read(at, units.as_mut_ptr().cast(), bytes / 2 * 2) }?;
        }
        Ok(units)
    }

    /// # Safety
    /// `into` has room for that many bytes of any value.
    unsafe fn read(&self, at: usize, into: *mut c_void, bytes: usize) -> io::Result<()> {
        let from = std::ptr::without_provenance(at);
        let mut read = 0;
        // SAFETY: the place to read from is another process's, and checked by the system; there is room for what is
        // read, by this function's contract.
        check(unsafe { ReadProcessMemory(self.process.as_raw_handle(), from, into, bytes, &raw mut read) })?;
        if read == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
