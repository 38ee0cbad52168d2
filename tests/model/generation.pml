/*
 * generation.pml: a configuration is published, used, let go and its store reused, step by step; any reader may die
 * before any step. The steps are those of shm/generation.c and of what its users do around it: reload.c and children.c of
 * master/, worker.c of worker/, monitor.c and stats.c of monitor/.
 *
 * Owns: the words of struct pgr_generations, the bytes of the stores, version, life and poked of the processes, and their
 * eventfds. Called by run.sh through one.sh, as pool.pml is; d_step and OR_DIE mean the same as there.
 * What must stay true, in the words of one.sh:
 *   mixed    what a reader reads of its generation is all of the version that it uses, and stays so until it asks again
 *   stale    when all is quiet, every reader that runs uses the newest
 *   refused  no reload waits for ever for one that is dead
 *
 * Each mutation MUT_x takes one guarding step out, or moves it, and must make pan report an error.
 *
 * Bounds (defaults):
 *   NG stores (2; the program has 4: fewer are reused sooner), NR readers (2), RELOADS (3)
 *   MAXC deaths (0), MAXP pokes among the readers for other reasons (0), MAXS readers that stop for ever (0)
 *   LOOKS at the blocks by each life of a reader (1: at any moment, so one is as good as many)
 *   FINE: the master's look at a version and at a life, its flag and its write of a poke are two steps each
 *   NORESPAWN: the dead get no successor (its respawn is put off)
 * Not modelled: that a successor of a worker waits for the sweep (DEAD and SWEPT are the same to the master here); that the
 * master tries fifty times and then tells the caller: here it tries again when anything has changed, and the reload may be
 * given up at any moment without harm, since it has left no trace.
 */
#ifndef NG
#define NG 2
#endif
#ifndef NR
#define NR 2
#endif
#ifndef RELOADS
#define RELOADS 3
#endif
#ifndef MAXC
#define MAXC 0
#endif
#ifndef MAXP
#define MAXP 0
#endif
#ifndef MAXS
#define MAXS 0
#endif
#ifndef LOOKS
#define LOOKS 1
#endif

#define CONFIG  0
#define SECRETS 1
#define AT(v, part) (((v) % NG) * 2 + (part))	/* where version v lies: the same rule for everybody */

byte bytes[NG * 2];	/* the version of which these bytes are; writer: master */
byte current;		/* writer: master */
byte version[NR];	/* in use; writer: the reader, and its successor begins with what it left */
bool alive[NR];		/* life == ALIVE; writer of true: the reader, of false: master, after waitpid */
bool poked[NR];		/* a write to the eventfd is under way or unread */
bool event[NR];		/* the eventfd is readable; outlives its reader */

/* ghosts */
byte uses[NR];		/* the version that this life of the reader has got; 0: none yet */
bool gone[NR];		/* dead, and not waited for */
bool absent[NR];	/* waited for, and not forked again */
bool stopped[NR];
bool changed = 1;	/* a version or a life has, since the master last looked at them all */

byte todo = RELOADS;
byte crashes, pokes, stops;	/* budgets left */

#define OR_DIE \
	:: atomic { crashes > 0 -> crashes--; goto dead } \
	:: atomic { stops > 0 -> stops--; stopped[k] = 1; goto halted }

proctype Reader(byte k)
{
	byte v, old, looks, other;
	bool ok;

	looks = LOOKS;
	goto forked;

start:	/* as good as forked anew: knows nothing, while version[k] is what its predecessor used */
	looks = LOOKS;
forked:
#ifndef MUT_ALIVE_LAST
	if :: d_step { alive[k] = 1; changed = 1 } OR_DIE fi;
#endif

use:	/* pgr_generation_use() */
	old = v;
	do
	:: true ->
		if :: d_step { v = current } OR_DIE fi;
#ifdef MUT_PIN_LAST
		if :: d_step { ok = (current == v) } OR_DIE fi;
#endif
		if :: d_step { version[k] = v; changed = 1 } OR_DIE fi;
#ifdef MUT_NO_SECOND_LOOK
		ok = 1;
#endif
#ifndef MUT_PIN_LAST
#ifndef MUT_NO_SECOND_LOOK
		if :: d_step { ok = (current == v) } OR_DIE fi;
#endif
#endif
		if :: ok -> break :: else fi
	od;
	skip;
	d_step { ok = 0; uses[k] = v };
#ifdef MUT_ALIVE_LAST
	if :: d_step { alive[k] = 1; changed = 1 } OR_DIE fi;
#endif
#ifndef MUT_KEEPS_OLD
	old = 0;
#endif

serve:
end:	if
	:: event[k] ->	/* on_poke() */
#ifdef MUT_LOOKS_FIRST
		if :: d_step { ok = (current != v) } OR_DIE fi;
#endif
		if :: d_step { event[k] = 0 } OR_DIE fi;	/* read(eventfd) */
		if :: d_step { poked[k] = 0 } OR_DIE fi;
#ifndef MUT_LOOKS_FIRST
		if :: d_step { ok = (current != v) } OR_DIE fi;
#endif
		if :: ok -> ok = 0; goto use :: else fi
	:: looks > 0 ->	/* at any moment between two calls of pgr_generation_use(), and at either block */
		looks--;
#ifdef MUT_KEEPS_OLD
		if :: old == 0 -> old = v :: else fi;
		if
		:: d_step { assert(bytes[AT(old, CONFIG)] == old) }
		:: d_step { assert(bytes[AT(old, SECRETS)] == old) }
		OR_DIE
		fi
#else
		if
		:: d_step { assert(bytes[AT(v, CONFIG)] == v) }
		:: d_step { assert(bytes[AT(v, SECRETS)] == v) }
		OR_DIE
		fi
#endif
	:: atomic { pokes > 0 -> pokes-- };	/* pgr_proc_poke() for a reason of its own */
		other = (k + 1) % NR;
		if :: d_step { ok = !poked[other]; poked[other] = 1 } OR_DIE fi;
		if
		:: ok -> ok = 0; if :: d_step { event[other] = 1 } OR_DIE fi
		:: else
		fi;
		other = 0
	OR_DIE
	fi;
	goto serve;

dead:	skip;
	d_step { v = 0; old = 0; looks = 0; other = 0; ok = 0; uses[k] = 0; gone[k] = 1 };
endgone:
	atomic { !gone[k] && !absent[k] };
	goto start;

halted:	skip;
endhalted:
	false
}

inline POKE_ALL() {	/* pgr_children_poke(): by force, since a poker may have died between the flag and the write */
	k = 0;
	do
	:: k < NR ->
#ifdef MUT_NO_FORCE
		d_step { ok = !poked[k]; poked[k] = 1 };
		if :: ok -> d_step { event[k] = 1 } :: else fi;
#else
#ifdef FINE
		d_step { poked[k] = 1 };
		d_step { event[k] = 1 };
#else
		d_step { poked[k] = 1; event[k] = 1 };
#endif
#endif
		k++
	:: else -> break
	od;
	k = 0; ok = 0
}

#define IN_STORE_OF(p, n) ((p) != 0 && (p) % NG == (n) % NG)
#ifdef MUT_IGNORES_LIFE
#define COUNTS(k) true
#else
#define COUNTS(k) alive[k]
#endif

inline SCAN(n) {	/* store_in_use() of version n */
	used = 0; k = 0;
	d_step { changed = 0 };
	do
	:: k < NR ->
#ifdef FINE
		d_step { pinned = version[k] };
		d_step { used = used || (IN_STORE_OF(pinned, n) && COUNTS(k)); pinned = 0; k++ }
#else
		d_step { used = used || (IN_STORE_OF(version[k], n) && COUNTS(k)); k++ }
#endif
	:: else -> break
	od;
	k = 0
}

proctype Master()
{
	byte v, k, pinned;
	bool used, ok, known;

loop:
end:	if
	:: todo > 0 && changed ->	/* pgr_generation_publish() */
		v = current + 1;
#ifdef MUT_COPY_FIRST
		d_step { bytes[AT(v, CONFIG)] = v };
#endif
#ifdef MUT_NO_SCAN
		used = 0;
#else
#ifdef MUT_SCAN_EARLY
		if :: !known -> SCAN(v) :: else -> known = 0 fi;
#else
		SCAN(v);
#endif
#endif
		if
		:: !used ->
#ifdef MUT_NUMBER_FIRST
			d_step { current = v };
#endif
			d_step { bytes[AT(v, CONFIG)] = v };
#ifdef MUT_NUMBER_BEFORE_SECRETS
			d_step { current = v };
#endif
			d_step { bytes[AT(v, SECRETS)] = v };
#ifdef MUT_POKE_FIRST
			POKE_ALL();
#endif
#ifdef MUT_SCAN_EARLY
			SCAN(v + 1); known = !used;
#endif
			d_step { current = v; todo--; changed = 1 };
#ifndef MUT_POKE_FIRST
			POKE_ALL();
#endif
			used = 0; v = 0
		:: else ->	/* AGAIN */
			used = 0; v = 0;
			POKE_ALL()
		fi
	:: d_step { gone[0] -> gone[0] = 0; absent[0] = 1; alive[0] = 0; changed = 1 }	/* waitpid, then DEAD */
#if NR > 1
	:: d_step { gone[1] -> gone[1] = 0; absent[1] = 1; alive[1] = 0; changed = 1 }
#endif
#if NR > 2
	:: d_step { gone[2] -> gone[2] = 0; absent[2] = 1; alive[2] = 0; changed = 1 }
#endif
#ifndef NORESPAWN
	:: d_step { absent[0] -> absent[0] = 0 }	/* fork */
#if NR > 1
	:: d_step { absent[1] -> absent[1] = 0 }
#endif
#if NR > 2
	:: d_step { absent[2] -> absent[2] = 0 }
#endif
#endif
#ifdef MUT_DEAD_EARLY
	:: d_step { crashes > 0 && alive[0] -> alive[0] = 0; changed = 1 }	/* the watchdog has sent a signal */
#endif
	fi;
	goto loop
}

proctype Check()
{
	byte x;
	bool halts;

	timeout;
	d_step {
		x = 0;
		do	/* who runs has the newest */
		:: x < NR ->
			assert(uses[x] == current || stopped[x] || absent[x]);
			halts = halts || stopped[x];
			x++
		:: else -> break
		od;
		assert(todo == 0 || halts)	/* a reload waits only for one that has stopped */
	}
}

init {
	byte x;
	atomic {
		current = 1; bytes[AT(1, CONFIG)] = 1; bytes[AT(1, SECRETS)] = 1;	/* before the first fork */
		do :: crashes < MAXC -> crashes++ :: break od;
		do :: pokes < MAXP -> pokes++ :: break od;
		do :: stops < MAXS -> stops++ :: break od;
		do
		:: x < NR -> run Reader(x); x++
		:: else -> break
		od;
		x = 0;
		run Master();
		run Check()
	}
}
