/*
 * What a child may still do: it drops to run_as, gains no new privileges, leaves no core, and with
 * `sandbox: true` only the system calls of its role are left. A worker cannot open a file, start a
 * program, trace or signal another process: such a call fails with EPERM.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef PGR_SECCOMP
#include <seccomp.h>
/* libseccomp's SCMP_A0(), SCMP_A2() leave out a field that their comparison does not use */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif

#include "base/log.h"
#include "master/master.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* their runtimes open files and signal threads */
#else
#define SANITIZED false
#endif

static void
drop_privileges(const struct pgr_master *m)
{
	if (m->drop && (setgroups(0, NULL) != 0 || setgid(m->gid) != 0 || setuid(m->uid) != 0)) {
		pgr_log(PGR_LOG_ERROR, "sandbox", "cannot drop privileges: %s", strerror(errno));
		exit(1);
	}
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, 9); /* cleared by the change of uid */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		pgr_log(PGR_LOG_ERROR, "sandbox", "cannot set no_new_privs: %s", strerror(errno));
		exit(1);
	}
}

#ifdef PGR_SECCOMP
static const int for_all[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(close),
	SCMP_SYS(shutdown), SCMP_SYS(socketpair), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(eventfd2), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup3),
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mprotect), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(newfstatat), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(rseq)};

/* The monitor resolves names; stats serves HTTP. */
static const int for_others[] = {SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(ioctl), SCMP_SYS(uname),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(pipe2)};

static bool
allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			return false;
	return true;
}

static bool
allow_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6};

	for (size_t i = 0; i < PGR_COUNT_OF(families); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i])) != 0)
			return false;
	return true;
}

/* abort(3) signals itself, nobody else. */
static bool
allow_abort(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0;
}

static bool
allow_reading_files(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		       SCMP_A2(SCMP_CMP_MASKED_EQ, 3 /* O_ACCMODE */, 0 /* O_RDONLY */)) == 0;
}

static bool
filter(unsigned index)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool ok = ctx != NULL && allow(ctx, for_all, PGR_COUNT_OF(for_all)) && allow_sockets(ctx) &&
		allow_abort(ctx);

	if (ok && index >= PGR_PROC_MONITOR)
		ok = allow(ctx, for_others, PGR_COUNT_OF(for_others));
	if (ok && index == PGR_PROC_MONITOR)
		ok = allow_reading_files(ctx);
	ok = ok && seccomp_load(ctx) == 0;
	if (ctx != NULL)
		seccomp_release(ctx);
	return ok;
}
#else
static bool
filter(unsigned index)
{
	(void)index;
	return false;
}
#endif

void
pgr_sandbox_enter(const struct pgr_master *m, unsigned index)
{
	drop_privileges(m);
	if (!m->pair.config->sandbox || SANITIZED)
		return;
	if (!filter(index)) {
		pgr_log(PGR_LOG_ERROR, "sandbox", "cannot filter system calls; `sandbox: false` does without");
		exit(1);
	}
}
