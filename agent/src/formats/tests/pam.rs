//! What stacks of PAM say, and what PAM would refuse.

use super::*;
use crate::formats::pam::FORMAT;

#[test]
fn a_stack_is_its_steps_in_their_order() {
    check(
        &FORMAT,
        "# comment\nauth [success=1  default=ignore] pam_unix.so nullok # why\n\
         auth requisite pam_deny.so\n-session optional \\\n  pam_systemd.so class=user\n\
         @include common-account\nauth required pam_unix.so\n",
        &[
            "auth/pam_deny.so = [\"requisite\"] [1]",
            "auth/pam_unix.so = [\"[default=ignore success=1]\", \"nullok\"] [0]",
            "auth/pam_unix.so/2 = [\"required\"] [4]",
            "include/common-account = nothing [3]",
            "session/pam_systemd.so = [\"-optional\", \"class=user\"] [2]",
        ],
    );
}

#[test]
fn only_what_a_stack_does_is_told() {
    let (one, two) = ("auth required a.so\n", "auth required b.so\n");
    check_differs(&FORMAT, &format!("{one}{two}"), &format!("{two}{one}"));
    check_same(&FORMAT, one, "\n#x\nAUTH\trequired   a.so # y\n");
    check_same(&FORMAT, "auth [a=1 b=2] c\n", "auth [ b=2 a=1 ] c\n");
    check_differs(&FORMAT, "auth required m [x y]\n", "auth required m [y x]\n");
    check_differs(&FORMAT, "-auth required m\n", "auth required m\n");
}

#[test]
fn a_line_that_pam_would_refuse_is_malformed() {
    check(&FORMAT, "auth\n", &["error: line 1: a step needs a control"]);
    check(&FORMAT, "\nauth required\n", &["error: line 2: a step needs a module"]);
    check(&FORMAT, "nothing required x.so\n", &["error: line 1: not a management group"]);
    check(&FORMAT, "@include\n", &["error: line 1: an include needs a file"]);
}

#[test]
fn a_password_of_a_module_stays_on_the_host() {
    leaks(&FORMAT, "auth required pam_mysql.so passwd=canary-0b1e\n", "canary-0b1e");
}
