//! The account of this process, and access for no other account.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree, WIN32_ERROR};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT, SE_OBJECT_TYPE, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, EqualSid, GetAce,
    GetSecurityDescriptorDacl, GetTokenInformation, IsWellKnownSid, OBJECT_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SECURITY_ATTRIBUTES, SetKernelObjectSecurity, TOKEN_INFORMATION_CLASS, TOKEN_QUERY, TOKEN_USER,
    TokenUser, WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid, WinCreatorOwnerSid, WinLocalSystemSid,
};
use windows_sys::Win32::System::SystemServices::{
    ACCESS_ALLOWED_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_ACE_TYPE, ACCESS_DENIED_ACE_TYPE,
    ACCESS_DENIED_CALLBACK_ACE_TYPE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::handle::{check, own, until_zero, wide};

/// The account of a process: the security identifier in its token.
pub(super) struct User {
    /// A `TOKEN_USER`, which points into this same memory; `u64` for its alignment.
    memory: Vec<u64>,
}

impl User {
    pub(super) fn current() -> io::Result<User> {
        User::of_token(&token(TOKEN_QUERY)?)
    }

    /// The account of the process behind this handle (with the right to query it).
    pub(super) fn of_process(process: BorrowedHandle<'_>) -> io::Result<User> {
        User::of_token(&open_token(process.as_raw_handle(), TOKEN_QUERY)?)
    }

    fn of_token(token: &OwnedHandle) -> io::Result<User> {
        Ok(User { memory: token_information(token, TokenUser)? })
    }

    pub(super) fn sid(&self) -> PSID {
        // SAFETY: the memory holds what the system wrote for this class: a TOKEN_USER.
        unsafe { (*self.memory.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// `S-1-5-21-…`
    pub(super) fn text(&self) -> io::Result<String> {
        let mut text = std::ptr::null_mut();
        // SAFETY: a valid identifier, and a place for the pointer to the new string.
        check(unsafe { ConvertSidToStringSidW(self.sid(), &raw mut text) })?;
        // SAFETY: on success it points to a string that ends with a zero.
        let result = String::from_utf16_lossy(unsafe { until_zero(text) });
        // SAFETY: the string is ours to free, and not used any more.
        unsafe { LocalFree(text.cast()) };
        Ok(result)
    }

    fn is(&self, other: PSID) -> bool {
        // SAFETY: both point to valid identifiers.
        unsafe { EqualSid(self.sid(), other) != 0 }
    }

    pub(super) fn same(&self, other: &User) -> bool {
        self.is(other.sid())
    }
}

/// This process's token.
pub(super) fn token(access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes nothing; the pseudo handle need not be closed.
    open_token(unsafe { GetCurrentProcess() }, access)
}

fn open_token(process: HANDLE, access: u32) -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: an open process handle and a place for the new handle.
    check(unsafe { OpenProcessToken(process, access, &raw mut token) })?;
    // SAFETY: the new handle is ours.
    unsafe { own(token) }
}

/// One piece of information about a token, in memory aligned for any of them.
pub(super) fn token_information(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    let mut needed = 0;
    // SAFETY: asks for the size alone.
    unsafe { GetTokenInformation(token.as_raw_handle(), class, std::ptr::null_mut(), 0, &raw mut needed) };
    let mut memory = vec![0_u64; (needed as usize).div_ceil(8).max(1)];
    let size = (memory.len() * 8) as u32;
    // SAFETY: the memory is as large as the size given.
    check(unsafe {
        GetTokenInformation(token.as_raw_handle(), class, memory.as_mut_ptr().cast(), size, &raw mut needed)
    })?;
    Ok(memory)
}

/// The owner of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Us,
    /// As a group: so does what an elevated process of an administrator creates, and much of the system's own.
    Administrators,
    Another,
}

/// Whether this object belongs to our account, or to the administrators, who can read everything anyway. Not for
/// processes, which are asked for their account: the system's own belong to the administrators.
pub(super) fn is_ours(handle: BorrowedHandle<'_>, kind: SE_OBJECT_TYPE) -> io::Result<bool> {
    Ok(owner(handle, kind)? != Owner::Another)
}

pub(super) fn owner(handle: BorrowedHandle<'_>, kind: SE_OBJECT_TYPE) -> io::Result<Owner> {
    let user = User::current()?;
    let of = Descriptor::of(handle, kind, OWNER_SECURITY_INFORMATION)?;
    // SAFETY: it was asked for, and points into the descriptor, which lives.
    Ok(match unsafe { IsWellKnownSid(of.owner, WinBuiltinAdministratorsSid) } != 0 {
        _ if user.is(of.owner) => Owner::Us,
        true => Owner::Administrators,
        false => Owner::Another,
    })
}

/// Whether the access list of a file or directory admits any account but this one, the system and the administrators.
/// The last two have access to everything. A directory that was made beside the profile has what its drive gives: all
/// who log in may change it.
pub(super) fn lets_others_in(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    let user = User::current()?;
    let of = Descriptor::of(handle, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION)?;
    // SAFETY: it was asked for, and points into the descriptor, which lives.
    Ok(unsafe { any_other(of.list, &user) })
}

/// # Safety
/// `list` is null, or a valid access list.
unsafe fn any_other(list: *const ACL, user: &User) -> bool {
    // Without a list all accounts may do everything.
    if list.is_null() {
        return true;
    }
    // SAFETY: a valid list, by this function's contract.
    let count = u32::from(unsafe { (*list).AceCount });
    (0..count).any(|index| {
        let mut entry = std::ptr::null_mut();
        // SAFETY: a valid list, and a place for a pointer into it.
        if unsafe { GetAce(list, index, &raw mut entry) } == 0 {
            return true;
        }
        // SAFETY: on success it points to an entry, which begins with its header.
        let header = unsafe { *entry.cast::<ACE_HEADER>() };
        match u32::from(header.AceType) {
            ACCESS_ALLOWED_ACE_TYPE | ACCESS_ALLOWED_CALLBACK_ACE_TYPE => {
                // SAFETY: entries of both types have the rights behind the header, and then the account that has
                // them.
                let who = unsafe { (&raw mut (*entry.cast::<ACCESS_ALLOWED_ACE>()).SidStart).cast() };
                // The creator of an object in the directory is an account that may create there.
                let none = [
                    WinLocalSystemSid,
                    WinBuiltinAdministratorsSid,
                    WinCreatorOwnerSid,
                    WinCreatorOwnerRightsSid,
                ];
                // SAFETY: the entry holds a valid identifier there.
                !user.is(who) && !none.iter().any(|known| unsafe { IsWellKnownSid(who, *known) } != 0)
            }
            ACCESS_DENIED_ACE_TYPE | ACCESS_DENIED_CALLBACK_ACE_TYPE => false,
            // No directory has others.
            _ => true,
        }
    })
}

/// Admits only this account, the system and the administrators, to this object and everything in it. The handle needs
/// the right to change the list.
pub(super) fn keep_others_out(directory: BorrowedHandle<'_>) -> io::Result<()> {
    let sid = User::current()?.text()?;
    let ours = Descriptor::new(&format!("D:P(A;OICI;FA;;;{sid})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"))?;
    let (mut present, mut defaulted, mut list) = (0, 0, std::ptr::null_mut());
    // SAFETY: a valid descriptor, and places for what is asked for.
    check(unsafe { GetSecurityDescriptorDacl(ours.0, &raw mut present, &raw mut list, &raw mut defaulted) })?;
    // SAFETY: an open handle, and a list that lives as long as its descriptor.
    check_code(unsafe {
        SetSecurityInfo(
            directory.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            list,
            std::ptr::null(),
        )
    })?;
    // The call above changes what is within as well, and Wine's adds what the directory above lets in.
    // SAFETY: an open handle, and a valid descriptor.
    check(unsafe { SetKernelObjectSecurity(directory.as_raw_handle(), DACL_SECURITY_INFORMATION, ours.0) })
}

/// The result of a function that says its error.
fn check_code(result: WIN32_ERROR) -> io::Result<()> {
    if result == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(result.cast_signed())) }
}

/// A descriptor that the system has made for us.
struct Descriptor(PSECURITY_DESCRIPTOR);

/// That of an object, and what was asked for of it: pointers into the descriptor.
struct Of {
    owner: PSID,
    list: *mut ACL,
    _descriptor: Descriptor,
}

impl Descriptor {
    fn new(text: &str) -> io::Result<Descriptor> {
        let text = wide(text)?;
        let mut descriptor = std::ptr::null_mut();
        // SAFETY: the text ends with a zero; the size is not asked for.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                std::ptr::null_mut(),
            )
        })?;
        Ok(Descriptor(descriptor))
    }

    fn of(
        handle: BorrowedHandle<'_>,
        kind: SE_OBJECT_TYPE,
        what: OBJECT_SECURITY_INFORMATION,
    ) -> io::Result<Of> {
        let mut owner = std::ptr::null_mut();
        let mut list = std::ptr::null_mut();
        let mut descriptor = std::ptr::null_mut();
        // SAFETY: an open handle and places for the pointers; the others are not asked for.
        check_code(unsafe {
            GetSecurityInfo(
                handle.as_raw_handle(),
                kind,
                what,
                &raw mut owner,
                std::ptr::null_mut(),
                &raw mut list,
                std::ptr::null_mut(),
                &raw mut descriptor,
            )
        })?;
        Ok(Of { owner, list, _descriptor: Descriptor(descriptor) })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: allocated by the system for us, freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// Security attributes that admit only our account, and inherit nothing.
pub(super) struct OwnerOnly {
    attributes: SECURITY_ATTRIBUTES,
    _descriptor: Descriptor,
}

impl OwnerOnly {
    /// `rights` in the language of access lists: `GA` for all, `FA` for all to a file; `inherit` are the
    /// flags for what is created within (`OICI` for directories).
    pub(super) fn new(rights: &str, inherit: &str) -> io::Result<OwnerOnly> {
        let sid = User::current()?.text()?;
        let descriptor = Descriptor::new(&format!("O:{sid}D:P(A;{inherit};{rights};;;{sid})"))?;
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor.0,
            bInheritHandle: 0,
        };
        Ok(OwnerOnly { attributes, _descriptor: descriptor })
    }

    /// Valid as long as this value.
    pub(super) fn as_ptr(&self) -> *const SECURITY_ATTRIBUTES {
        &raw const self.attributes
    }

    pub(super) fn as_void(&self) -> *mut c_void {
        self.as_ptr().cast_mut().cast()
    }
}

// SAFETY: the descriptor is memory that nothing changes after its creation.
unsafe impl Send for OwnerOnly {}
// SAFETY: as above.
unsafe impl Sync for OwnerOnly {}

impl std::fmt::Debug for OwnerOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerOnly")
    }
}
