//! Jobs: what is started in one cannot leave it unasked, whatever becomes of its parents.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob, JOB_OBJECT_LIMIT_BREAKAWAY_OK,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_BASIC_PROCESS_ID_LIST,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectBasicProcessIdList, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};

use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::handle::{check, own};

/// Whether a process (with the right to query it) is in any job.
pub(super) fn is_in_one(process: BorrowedHandle<'_>) -> io::Result<bool> {
    let mut inside = 0;
    // SAFETY: an open handle, any job, and a place for the answer.
    check(unsafe { IsProcessInJob(process.as_raw_handle(), std::ptr::null_mut(), &raw mut inside) })?;
    Ok(inside != 0)
}

/// Whether this process is in any job. Of itself a process is told; should it not be, it may be in one.
pub(super) fn we_are_in_one() -> bool {
    // SAFETY: the pseudo handle of this process is valid as long as it runs.
    is_in_one(unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) }).unwrap_or(true)
}

/// Whether the job that this process is in, the innermost of several, ends everything in it when it is closed. One that
/// does not say so may do it.
pub(super) fn ours_kills() -> bool {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    // SAFETY: no job means the one this process is in, and the structure is of the class and size given.
    let asked = check(unsafe {
        QueryInformationJobObject(
            std::ptr::null_mut(),
            JobObjectExtendedLimitInformation,
            (&raw mut limits).cast(),
            size_of_val(&limits) as u32,
            std::ptr::null_mut(),
        )
    });
    asked.is_err() || limits.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE != 0
}

/// A job that ends everything in it when its last handle is closed: at the latest when this process is gone.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

/// Whether the members of a job may start processes outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Refused,
    /// When they ask for it. Cygwin's programs always do.
    OnRequest,
}

impl Job {
    pub(super) fn new(leaving: Leaving) -> io::Result<Job> {
        // SAFETY: no attributes and no name; the new handle is ours.
        let job = unsafe { own(CreateJobObjectW(std::ptr::null(), std::ptr::null())) }?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = match leaving {
            Leaving::Refused => JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
            Leaving::OnRequest => JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK,
        };
        // SAFETY: an open job, and a structure of the class and size given.
        check(unsafe {
            SetInformationJobObject(
                job.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of_val(&limits) as u32,
            )
        })?;
        Ok(Job(job))
    }

    /// Puts this process into it: what it starts from here on is in it as well.
    pub(super) fn take_in_this_process(&self) -> io::Result<()> {
        // SAFETY: an open job with all rights, and the pseudo handle of this process.
        check(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), GetCurrentProcess()) })
    }

    /// Ends everything in it.
    pub(super) fn terminate(&self) -> io::Result<()> {
        // SAFETY: an open job with all rights.
        check(unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) })
    }

    /// The members of the job, in no particular order.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        /// The two counts that come before the numbers.
        const HEAD: usize =
            std::mem::offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList) / size_of::<usize>();
        let mut room = 64;
        loop {
            // Numbers as wide as the system's, which aligns the counts as well.
            let mut list = vec![0_usize; HEAD + room];
            // SAFETY: an open job, and memory of the size given.
            let result = check(unsafe {
                QueryInformationJobObject(
                    self.0.as_raw_handle(),
                    JobObjectBasicProcessIdList,
                    list.as_mut_ptr().cast(),
                    size_of_val(&*list) as u32,
                    std::ptr::null_mut(),
                )
            });
            // SAFETY: the memory is longer than the head and aligned for it; it is zero where nothing was written.
            let head = unsafe { &*list.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>() };
            let (all, listed) =
                (head.NumberOfAssignedProcesses as usize, head.NumberOfProcessIdsInList as usize);
            match result {
                Ok(()) if listed >= all => {
                    return Ok(list[HEAD..].iter().take(listed).map(|pid| *pid as u32).collect());
                }
                Err(error) if error.raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) => {
                    return Err(error);
                }
                Ok(()) | Err(_) => room = (room * 2).max(all + 16),
            }
        }
    }
}

impl AsHandle for Job {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
