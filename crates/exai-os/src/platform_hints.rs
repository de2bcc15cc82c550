//! Advice to people that differs from system to system.

/// Where the variables are set that every program of the account gets.
pub const WHERE_VARIABLES_ARE_SET: &str = if cfg!(windows) {
    "with `setx NAME VALUE` or in the Settings of Windows"
} else {
    "in your login shell's start files"
};

/// The variable that names the account's home directory.
pub const HOME_VARIABLE: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// How to run a program as the account itself, where [`crate::account::runs_for_another_account`] has found that this
/// process acts for another one.
pub const AS_YOURSELF: &str = if cfg!(windows) {
    "in a terminal that was not opened as administrator"
} else {
    "without sudo, as the account that logged in"
};

/// `exai call` with an argument, as the shells of this system hand it on. Windows PowerShell takes the quotes out of a
/// program's arguments, and cmd knows quotes of one kind only.
pub const CALL_WITH_AN_ARGUMENT: &str = if cfg!(windows) {
    r#"in PowerShell `'{"message":"hi"}' | exai call SERVER TOOL -`, in cmd `exai call SERVER TOOL "{\"message\":\"hi\"}"`"#
} else {
    r#"`exai call SERVER TOOL '{"message":"hi"}'`"#
};

/// Whether readers of a program's output take it for UTF-8. PowerShell takes it for the code page of the console.
pub const PIPES_ARE_UTF8: bool = !cfg!(windows);
