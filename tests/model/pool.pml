/*
 * pool.pml: the shared pool's protocol, step by step; any process may die before any step.
 *
 * Owns: what shm/ and the monitor do to the words of places, mask, want, mail, pmail and proc, and nothing else.
 * Called by run.sh (which has the table of bounds) through one.sh. By hand:
 *   spin -a [-DKNOB ...] pool.pml && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m300000
 * What must stay true: every d_step is one atomic access to shared memory, or a local step glued to one; OR_DIE at
 * every such access lets the process die instead of it: it loses its local variables, later the master notices.
 *
 * Each mutation MUT_x takes one guarding step out and must make pan report an error; VAR_x is a variant that is right.
 * Liveness: budgets are chosen at the start and every run is finite (checked apart, -DNP -l), so "nobody is
 * forgotten" is: in every final state no client waits, no place is lost.
 *
 * Bounds (defaults):
 *   NP pools (1), NS places (2; place s belongs to pool s % NP), NW workers (2)
 *   TODO clients per worker (2), TODOB of the others than worker 0 (TODO), TODO2 of a successor (1)
 *   MAXC deaths (1), MAXT waits that time out (1), MAXF failed logins (0), MAXK cancels (0), MAXR idle connections
 *   that the monitor closes (0), MAXN leases whose connection is dialed anew for the same client (0)
 *   MB mail bits per pool and worker (default: one per place), PB bits of pmail (default: one per pool)
 *   GMASK generation mask (7), INITn first state of place n
 *   HOME: the clients of worker k want pool k % NP, else any
 * Features: FINE reads of one process's mail, want and proc are three steps instead of one
 *   XFER       a worker may hand its lease to its own oldest client
 *   OWNCANCEL  only the worker that owns the lease cancels
 *   STALL n    worker 0 may stop for ever; the monitor takes back what stays unaccepted, n - 1 times too early
 *   BAR        places may be BARRED; ALLOW of them (1) may be in use over all pools; LOWER (0): the allowance falls
 */
#ifndef NP
#define NP 1
#endif
#ifndef NS
#define NS 2
#endif
#ifndef NW
#define NW 2
#endif
#ifndef TODO
#define TODO 2
#endif
#ifndef TODOB
#define TODOB TODO
#endif
#ifndef TODO2
#define TODO2 1
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef MAXT
#define MAXT 1
#endif
#ifndef MAXF
#define MAXF 0
#endif
#ifndef MAXK
#define MAXK 0
#endif
#ifndef MAXR
#define MAXR 0
#endif
#ifndef MAXN
#define MAXN 0
#endif
#ifndef MB
#define MB ((NS + NP - 1) / NP)
#endif
#ifndef PB
#define PB NP
#endif
#ifndef GMASK
#define GMASK 7
#endif
#ifndef INIT0
#define INIT0 IDLE
#endif
#ifndef INIT1
#define INIT1 FREE
#endif
#ifndef INIT2
#define INIT2 FREE
#endif
#ifndef BAR
#define BAR 0
#endif
#ifndef ALLOW
#define ALLOW 1
#endif
#ifndef LOWER
#define LOWER 0
#endif
#ifndef STALL
#define STALL 0
#endif

#define MON  NW		/* the monitor's index; it waits like a worker when it needs a place back (BAR) */
#define NA   (NW + BAR)	/* who may wait */
#define NONE 7
#define BIT(x) (1 << (x))

#define FREE    0
#define DIALING 1
#define IDLE    2
#define GIVEN   3
#define LEASED  4
#define CLOSING 5
#define ASKED   6
#define BARRED  7
#define POISON  7	/* a pin: close on return */

/* a place's word: state 3 | owner 2 | generation 5 | pin 3 */
#define ST(w)  ((w) & 7)
#define OWN(w) (((w) >> 3) & 3)
#define GEN(w) (((w) >> 5) & 31)
#define PIN(w) (((w) >> 10) & 7)
#define WORD(st, own, gen, pin) ((st) | ((own) << 3) | ((gen) << 5) | ((pin) << 10))
#ifdef MUT_NO_GEN
#define NEXT(w) GEN(w)
#else
#define NEXT(w) ((GEN(w) + 1) & GMASK)
#endif
#ifdef MUT_LEASE_PINNED
#define LEASABLE(w) (ST(w) == IDLE)
#else
#define LEASABLE(w) (ST(w) == IDLE && PIN(w) == 0)
#endif
#ifdef MUT_DUTY_IS_DIALING
#define OFFER DIALING	/* told to dial is marked as if dialing had begun: accepting does not change the word */
#else
#define OFFER ASKED
#endif

/* pools: place s, pool p, actor k */
#define POOL(s)  ((s) % NP)
#define AT(p, k) ((p) * NA + (k))
#define MBIT(s)  BIT(((s) / NP) % MB)
#define PBIT(p)  BIT((p) % PB)
#define ALLMAIL  (BIT(MB) - 1)
#define ALLPOOLS (BIT(NP) - 1)
#define WORKERS  (BIT(NW) - 1)
#ifdef MUT_ALIAS_FIRST_ONLY
#define MAILED(bits, s) ((s) / NP < MB && ((bits) & MBIT(s)))
#else
#define MAILED(bits, s) ((bits) & MBIT(s))
#endif

/* a want word: dials under way 2 | waiting clients 2 | oldest ticket 4 */
#define W_WANT(d, n, t) ((d) * 64 + (n) * 16 + (t))
#define W_DIALS(c)  ((c) >> 6)
#define W_COUNT(c)  (((c) >> 4) & 3)
#define W_TICKET(c) ((c) & 15)

#ifdef MUT_IGNORE_UNWANTED
#define WANTED(p) (nw[p] > 0)
#else
#define WANTED(p) true
#endif
#ifdef MUT_LATE_SNAPSHOT
#define SNAP(x) true
#else
#define SNAP(x) (dd & BIT(x))
#endif

short word[NS];
byte mask[NP];		/* bit k: k has waiters; writer of the bit: k only */
byte want[NP * NA];	/* writer: k only */
byte mail[NP * NA];	/* look at the places of this bit; set by givers and the monitor, exchanged for 0 by k */
#if NP > 1
byte pmail[NW];		/* bit of a pool: it has mail for k; same writers */
#endif
byte ticket[NP];
#define DEAD  0		/* master, after waitpid */
#define ALIVE 1		/* the process itself */
#define SWEPT 2		/* monitor: no word has this owner any more */
byte proc[NA];
bool poke[NW + 1];	/* eventfd */
bool died;		/* master to monitor: somebody died */
#if STALL
bool slow[NA];		/* monitor: give k nothing until it clears this; exchanged for 0 by k */
#endif
#if BAR
byte allow = ALLOW;	/* places that may be other than BARRED; configuration, written by the master */
#ifdef HFLAG
bool hungry[NP];	/* the monitor knows, or has been poked: clients here wait for a BARRED place */
#endif
#endif

/* ghosts: the truth about the servers, read by assertions only */
byte holder[NS];	/* whose client uses it */
bool dirty[NS];		/* its user died in mid-transaction */
byte real[NS];		/* connections that the server has */
byte cx[NS];		/* a cancel in flight: number of the lease that it is aimed at, plus 1 */
#if MAXK || MAXN
byte con[NS];		/* number of the connection; stands for its cancel key, too */
#define NEWCON(y) con[y]++
#else
#define NEWCON(y) skip
#endif
#if MAXK
byte lno[NS];		/* number of the lease, never wrong */
#define COUNT(y) lno[y] = (lno[y] + 1) & 15
#else
#define COUNT(y) skip
#endif
#if MAXN
byte ended[NS];		/* the monitor will hear of the end of this connection, plus 1 */
#endif
#if STALL
bool stopped;
byte backs = STALL - 1;
#endif

byte crashes, tmo, dfail, kills, reaps, renews;	/* budgets left */

#define OR_DIE :: atomic { crashes > 0 -> crashes--; goto dead }

#define DIALS(p) (((dial & 1) && POOL(0) == (p)) + ((dial & 2) && POOL(1) == (p)) + ((dial & 4) && POOL(2) == (p)))

/* publish dials, number and oldest ticket of my waiters in p */
inline PUB(k, p) {
	if
	:: nw[p] > 0 ->
		if :: d_step { want[AT(p, k)] = W_WANT(DIALS(p), nw[p], t0[p]) } OR_DIE fi;
		if
		:: !(pubd & BIT(p)) ->
			if :: d_step { mask[p] = mask[p] | BIT(k); pubd = pubd | BIT(p) } OR_DIE fi
		:: else
		fi
	:: else ->
		if :: d_step { want[AT(p, k)] = 0 } OR_DIE fi;
		if :: d_step { mask[p] = mask[p] & ~BIT(k); pubd = pubd & ~BIT(p) } OR_DIE fi
	fi
}

inline SERVED(p) {	/* local: the oldest waiter leaves the local FIFO */
	nw[p]--; t0[p] = t1[p]; t1[p] = 0
}

inline TAKE(k, y) {	/* ghost: k now uses place y */
	assert(holder[y] == NONE && !dirty[y] && real[y] == 1);
	holder[y] = k; held = held | BIT(y); COUNT(y)
}

#if STALL && !defined(MUT_NO_SLOW)
#define PASSED_OVER(i) slow[i]
#else
#define PASSED_OVER(i) false
#endif

/*
 * ml, c: mail and want of i as loaded. For a place without a connection the dials under way count too. Of an IDLE
 * place me may take one more than its own mail promises: the hint may be late, a place too many goes back.
 */
#ifdef MUT_OWN_MAIL_COUNTS
#define OWN_IDLE(i, me) false
#else
#define OWN_IDLE(i, me) ((i) == (me) && ST(w) == IDLE)
#endif
#define CONSIDER(i, me) \
		if :: OWN_IDLE(i, me) -> ml = 0 :: else fi; \
		g = (ml & 1) + ((ml >> 1) & 1) + ((ml >> 2) & 1) + (ST(w) == IDLE -> 0 : W_DIALS(c)); \
		if \
		:: proc[i] == ALIVE && !PASSED_OVER(i) && W_COUNT(c) > g && (best == NONE || W_TICKET(c) < bt) && \
		    !(i == MON && ST(w) == BARRED) -> best = i; bt = W_TICKET(c) \
		:: else \
		fi; \
		c = 0; g = 0; ml = 0

/* the hints that follow a CAS to GIVEN or ASKED, in this order */
inline TELL(b, y, p) {
#if NP > 1
#ifdef MUT_PMAIL_BEFORE_MAIL
	if :: d_step { pmail[b] = pmail[b] | PBIT(p) } OR_DIE fi;
	if :: d_step { mail[AT(p, b)] = mail[AT(p, b)] | MBIT(y) } OR_DIE fi;
#else
	if :: d_step { mail[AT(p, b)] = mail[AT(p, b)] | MBIT(y) } OR_DIE fi;
#ifndef MUT_PMAIL_AFTER_POKE
	if
	:: d_step { b < NW ->
#ifdef VAR_COALESCE
		mute = (pmail[b] != 0);
#endif
		pmail[b] = pmail[b] | PBIT(p) }
	:: b >= NW	/* the monitor looks at every word of every pool */
	OR_DIE
	fi;
#endif
#endif
#else
	if :: d_step { mail[AT(p, b)] = mail[AT(p, b)] | MBIT(y) } OR_DIE fi;
#endif
	if :: d_step { poke[b] = poke[b] || !mute; mute = 0 } OR_DIE fi;
#ifdef MUT_PMAIL_AFTER_POKE
	if :: d_step { pmail[b] = pmail[b] | PBIT(p) } OR_DIE fi;
#endif
	skip
}

/* a BARRED place for which somebody waits: the monitor may know another place to bar instead */
inline ASK_MONITOR(p) {
#ifndef MUT_BARRED_NO_POKE
#ifdef HFLAG
	if :: d_step { ok = !hungry[p]; hungry[p] = 1 } OR_DIE fi;
#else
	ok = 1;
#endif
	if
	:: ok -> ok = 0; if :: d_step { poke[MON] = 1 } OR_DIE fi
	:: else
	fi
#else
	skip
#endif
}

/* whoever made a place of p available or published a want in p runs this afterwards */
inline MATCH(me, p) {
	s = p;
	do
	:: s >= NS -> break
	:: else ->
		if :: d_step { m = mask[p] } OR_DIE fi;
		if :: m == 0 -> break :: else fi;
		if :: d_step { w = word[s] } OR_DIE fi;
		if
		:: LEASABLE(w) || ST(w) == FREE || (ST(w) == BARRED && me != MON) ->
			best = NONE; bt = 0; i = 0;
			do
			:: i >= NA -> break
			:: else ->
				if
				:: (m & BIT(i)) ->
#ifdef FINE
					if :: d_step { ml = mail[AT(p, i)] } OR_DIE fi;
					if :: d_step { c = want[AT(p, i)] } OR_DIE fi;
					if :: d_step { CONSIDER(i, me) } OR_DIE fi
#else
					if :: d_step { ml = mail[AT(p, i)]; c = want[AT(p, i)]; CONSIDER(i, me) } OR_DIE fi
#endif
				:: else
				fi;
				i++
			od;
			i = 0; bt = 0;
			if
			:: best == NONE -> s = s + NP
			:: best != NONE && ST(w) == BARRED -> ASK_MONITOR(p); s = s + NP
			:: best == me && ST(w) != BARRED ->
				if
				:: d_step { me != MON && word[s] == w && ST(w) == IDLE ->
					word[s] = WORD(LEASED, me, NEXT(w), PIN(w)); SERVED(p); TAKE(me, s); ok = 1 }
				:: d_step { me != MON && word[s] == w && ST(w) == FREE ->
					word[s] = WORD(DIALING, me, NEXT(w), 0); dial = dial | BIT(s); ok = 1 }
				:: d_step { me == MON && word[s] == w && ST(w) == IDLE ->
					word[s] = WORD(CLOSING, 0, GEN(w), 0); SERVED(p); ok = 1; again = 1 }
#ifdef MUT_BAR_STORE
				:: d_step { me == MON && ST(w) == FREE ->
#else
				:: d_step { me == MON && word[s] == w && ST(w) == FREE ->
#endif
					word[s] = WORD(BARRED, 0, GEN(w), 0); SERVED(p); ok = 1; again = 1 }
				:: d_step { word[s] != w -> skip }
				OR_DIE
				fi;
				if :: ok -> ok = 0; PUB(me, p); s = s + NP :: else fi
			:: best != NONE && best != me && ST(w) != BARRED ->
				if
				:: d_step { word[s] == w ->
					w = WORD((ST(w) == IDLE -> GIVEN : OFFER), best, NEXT(w), PIN(w));
					word[s] = w; ok = 1 }
				:: d_step { word[s] != w -> skip }
				OR_DIE
				fi;
				if
				:: ok ->
#ifndef MUT_NO_RECHECK
					if :: d_step { ok = (proc[best] == ALIVE) } OR_DIE fi;
#endif
					if
					:: ok ->	/* alive: tell it */
						ok = 0;
						TELL(best, s, p);
						s = s + NP
					:: else ->	/* died meanwhile, perhaps after the sweep: take it back, look again */
						if
						:: d_step { word[s] == w && ST(w) == GIVEN ->
							word[s] = WORD(IDLE, 0, GEN(w), PIN(w)) }
						:: d_step { word[s] == w && ST(w) == ASKED ->
							word[s] = WORD(FREE, 0, GEN(w), 0) }
						:: d_step { word[s] == w && ST(w) == DIALING ->
							word[s] = WORD(CLOSING, 0, GEN(w), 0); poke[MON] = 1 }
						:: d_step { word[s] != w -> skip }
						OR_DIE
						fi
					fi
				:: else
				fi
			fi;
			best = 0
		:: else -> s = s + NP
		fi;
		w = 0
	od;
	s = 0; m = 0; w = 0; best = 0
}

/* k looks at the places of pool p that bits names */
inline ACCEPT(k, p) {
	s = p;
	do
	:: s >= NS -> break
	:: else ->
		if
		:: MAILED(bits, s) ->
#if STALL
			/* load, then CAS: what was given may be taken back in between */
			if :: d_step { w = word[s] } OR_DIE fi;
			if
#ifdef MUT_ACCEPT_STORE
			:: d_step { ST(w) == GIVEN && OWN(w) == k ->
#else
			:: d_step { ST(w) == GIVEN && OWN(w) == k && word[s] == w ->
#endif
				word[s] = WORD(LEASED, k, GEN(w), PIN(w)); TAKE(k, s); chg = 1;
				if :: nw[p] > 0 -> SERVED(p) :: else fi }
			:: d_step { ST(w) == ASKED && OWN(w) == k && word[s] == w ->
				word[s] = WORD(DIALING, k, GEN(w), 0); dial = dial | BIT(s); chg = 1 }
			:: d_step { !((ST(w) == GIVEN || ST(w) == ASKED) && OWN(w) == k) || word[s] != w -> skip }
			OR_DIE
			fi;
			w = 0
#else
			if	/* load and CAS in one: a failed CAS means nothing for me */
			:: d_step { ST(word[s]) == GIVEN && OWN(word[s]) == k && WANTED(p) ->
				word[s] = WORD(LEASED, k, GEN(word[s]), PIN(word[s])); TAKE(k, s); chg = 1;
				/* nobody waits any more: then it is held for nobody and returned later */
				if :: nw[p] > 0 -> SERVED(p) :: else fi }
			:: d_step { ST(word[s]) == ASKED && OWN(word[s]) == k ->
				word[s] = WORD(DIALING, k, GEN(word[s]), 0); dial = dial | BIT(s); chg = 1 }
#ifdef MUT_DUTY_IS_DIALING
			:: d_step { ST(word[s]) == DIALING && OWN(word[s]) == k -> dial = dial | BIT(s) }
			:: d_step { !((ST(word[s]) == GIVEN || ST(word[s]) == DIALING) && OWN(word[s]) == k) -> skip }
#else
			:: d_step { !((ST(word[s]) == GIVEN || ST(word[s]) == ASKED) && OWN(word[s]) == k) -> skip }
#endif
#ifdef MUT_IGNORE_UNWANTED
			:: d_step { ST(word[s]) == GIVEN && nw[p] == 0 -> skip }
#endif
			OR_DIE
			fi
#endif
		:: else
		fi;
		s = s + NP
	od;
	s = 0; bits = 0;
	if :: chg && (nw[p] > 0 || (pubd & BIT(p))) -> PUB(k, p) :: else fi;
	chg = 0
}

/* a worker's return of place s to p; need tells whether a match must follow */
inline RETURN(k, p) {
#ifdef MUT_CHECK_BEFORE_RETURN
	if :: d_step { ok = (mask[p] != 0) } OR_DIE fi;
	if :: ok -> need = need | BIT(p); ok = 0 :: else fi;
#else
	need = need | BIT(p);
#endif
	if	/* CAS loop; the pin stays */
	:: d_step { PIN(word[s]) != POISON ->
		assert(ST(word[s]) == LEASED && OWN(word[s]) == k && holder[s] == k);
		word[s] = WORD(IDLE, 0, GEN(word[s]), PIN(word[s])); holder[s] = NONE; held = held & ~BIT(s) }
#if MAXK
	:: d_step { PIN(word[s]) == POISON ->
		assert(ST(word[s]) == LEASED && OWN(word[s]) == k && holder[s] == k);
		word[s] = WORD(CLOSING, 0, GEN(word[s]), 0); holder[s] = NONE; held = held & ~BIT(s) };
		if :: d_step { poke[MON] = 1 } OR_DIE fi
#endif
	OR_DIE
	fi
}

#ifdef XFER
/* instead of RETURN: the lease goes to the oldest client here; ok tells whether it did */
inline TRANSFER(k, p) {
	if :: d_step { w = word[s] } OR_DIE fi;
	if
#ifdef MUT_XFER_PINNED
	:: true ->
#else
	:: PIN(w) == 0 ->
#endif
		if
		:: d_step { word[s] == w ->
			assert(ST(w) == LEASED && OWN(w) == k && holder[s] == k);
#ifdef MUT_XFER_NO_GEN
			word[s] = w;
#else
			word[s] = WORD(LEASED, k, NEXT(w), PIN(w));
#endif
			COUNT(s); SERVED(p); ok = 1 }
		:: d_step { word[s] != w -> skip }
		OR_DIE
		fi
	:: else
	fi;
	w = 0;
#ifndef MUT_XFER_NO_PUB
	if :: ok -> PUB(k, p) :: else fi
#endif
}
#endif

proctype Worker(byte k)
{
	short w, cw;
	byte s, p, m, i, best, bt, c, g, ml, dial, bits, pbits, todo, held, need, pubd, pin, aim, key;
	byte nw[NP], t0[NP], t1[NP];
	bool ok, sent, chg, mute, again;
#if MAXN
	byte bound;		/* places that are dialed anew for a client that had them leased */
#endif

	todo = (k == 0 -> TODO : TODOB);
	goto loop;

start:	/* the successor may log clients in, but touches no place before the monitor has swept */
#ifndef MUT_START_UNSWEPT
	if
	:: d_step { proc[k] == SWEPT -> skip }
	OR_DIE
	fi;
#endif
	p = 0;
	do
	:: p < NP ->
#ifdef MUT_MAIL_RESET
		if :: d_step { want[AT(p, k)] = 0; mail[AT(p, k)] = 0 } OR_DIE fi;
#else
		if :: d_step { want[AT(p, k)] = 0; mail[AT(p, k)] = ALLMAIL } OR_DIE fi;
#endif
		if :: d_step { mask[p] = mask[p] & ~BIT(k) } OR_DIE fi;
		p++
	:: else -> break
	od;
	p = 0;
#if NP > 1
#ifdef MUT_PMAIL_RESET
	if :: d_step { pmail[k] = 0; poke[k] = 1 } OR_DIE fi;
#else
	if :: d_step { pmail[k] = BIT(PB) - 1; poke[k] = 1 } OR_DIE fi;
#endif
#else
	if :: d_step { poke[k] = 1 } OR_DIE fi;
#endif
	if :: d_step { proc[k] = ALIVE } OR_DIE fi;
	need = ALLPOOLS;

loop:
	do
	:: need == 0 -> break
	:: else ->
		p = ((need & 1) -> 0 : 1);
		need = need & ~BIT(p);
		MATCH(k, p);
		p = 0
	od;
end:	if
#ifdef MUT_READ_AFTER_EXCHANGE
	:: poke[k] ->
#else
	:: atomic { poke[k] -> poke[k] = 0 };	/* read(eventfd) */
#endif
#if STALL
		if
		:: d_step { slow[k] -> slow[k] = 0;
#ifndef MUT_SLOW_NO_REMATCH
			need = ALLPOOLS
#endif
			}
		:: d_step { !slow[k] -> skip }
		OR_DIE
		fi;
#endif
#if NP > 1
#ifdef MUT_PMAIL_READ_ONLY_WAITED
		if :: d_step { pbits = pmail[k] & ((nw[0] > 0) + 2 * (nw[1] > 0)); pmail[k] = 0 } OR_DIE fi;
#else
#ifdef MUT_PMAIL_CLEARED_LAST
		if :: d_step { pbits = pmail[k] } OR_DIE fi;
#else
		if :: d_step { pbits = pmail[k]; pmail[k] = 0 } OR_DIE fi;
#endif
#endif
#else
		pbits = 1;
#endif
#ifdef MUT_READ_AFTER_EXCHANGE
		if :: d_step { poke[k] = 0 } OR_DIE fi;
#endif
		p = 0;
		do
		:: p < NP && (pbits & PBIT(p)) ->
			if :: d_step { bits = mail[AT(p, k)]; mail[AT(p, k)] = 0 } OR_DIE fi;
			ACCEPT(k, p);
#ifndef MUT_NO_REMATCH
			if :: nw[p] > 0 -> need = need | BIT(p) :: else fi;
#endif
			p++
		:: p < NP && !(pbits & PBIT(p)) -> p++
		:: p >= NP -> break
		od;
#ifdef MUT_PMAIL_CLEARED_LAST
		if :: d_step { pmail[k] = pmail[k] & ~pbits } OR_DIE fi;
#endif
		p = 0; pbits = 0
	:: todo > 0 ->			/* a client wants a connection */
		todo--;
#ifdef HOME
		p = k % NP;
#else
#if NP > 1 && NS > 1
		if :: p = 0 :: p = 1 fi;
#endif
#endif
		if :: d_step { m = mask[p] } OR_DIE fi;
		s = p;
		do
#ifdef MUT_LEASE_IGNORES_QUEUE
		:: s < NS ->
#else
		:: s < NS && m == 0 ->
#endif
			if	/* load and CAS in one */
			:: d_step { LEASABLE(word[s]) ->
				word[s] = WORD(LEASED, k, NEXT(word[s]), PIN(word[s])); TAKE(k, s); ok = 1 }
			:: d_step { !LEASABLE(word[s]) -> skip }
			OR_DIE
			fi;
			if :: ok -> break :: else -> s = s + NP fi
		:: else -> break
		od;
		s = 0; m = 0;
		if
		:: ok -> ok = 0
		:: else ->
			if
			:: d_step { if :: nw[p] == 0 -> t0[p] = ticket[p] :: else -> t1[p] = ticket[p] fi;
				ticket[p]++; nw[p]++; assert(ticket[p] < 16) }
			OR_DIE
			fi;
			PUB(k, p);
#ifndef MUT_NO_RESCAN
			need = need | BIT(p)
#endif
		fi;
		p = 0
	:: held != 0 ->			/* a client is done */
		s = (held & 1 -> 0 : (held & 2 -> 1 : 2));
		p = POOL(s);
#ifdef XFER
		if	/* whenever the distance of tickets allows it, so perhaps */
		:: nw[p] > 0 -> TRANSFER(k, p)
		:: true -> skip
		fi;
#endif
		if :: ok -> ok = 0 :: else -> RETURN(k, p) fi;
		s = 0; p = 0
#if MAXN
	:: atomic { held != 0 && renews > 0 -> renews-- };	/* a client that has just got a connection needs another one */
		s = (held & 1 -> 0 : (held & 2 -> 1 : 2));
		if :: d_step { w = word[s] } OR_DIE fi;
		if
		:: d_step { word[s] == w && PIN(w) == 0 ->
			assert(ST(w) == LEASED && OWN(w) == k && holder[s] == k);
			word[s] = WORD(DIALING, k, NEXT(w), 0); bound = bound | BIT(s); held = held & ~BIT(s) }
		:: d_step { word[s] != w || PIN(w) != 0 ->	/* not under a cancel: it is closed, and the client wants anew */
			word[s] = WORD(CLOSING, 0, GEN(word[s]), 0); holder[s] = NONE; held = held & ~BIT(s); todo++ };
			if :: d_step { poke[MON] = 1 } OR_DIE fi;
			need = need | BIT(POOL(s))
		OR_DIE
		fi;
		w = 0; s = 0
	:: bound != 0 ->
		s = (bound & 1 -> 0 : (bound & 2 -> 1 : 2));
#ifndef MUT_RENEW_BEFORE_EOF
		if :: d_step { real[s] = 0; ended[s] = con[s] + 1;	/* the true end is read, here and by the monitor */
#if MAXK
			cx[s] = 0
#endif
			} OR_DIE fi;
#endif
		if :: d_step { NEWCON(s); real[s]++; assert(real[s] <= 1) } OR_DIE fi;
		if
		:: d_step { assert(ST(word[s]) == DIALING && OWN(word[s]) == k && holder[s] == k);
			word[s] = WORD(LEASED, k, NEXT(word[s]), 0); bound = bound & ~BIT(s); held = held | BIT(s) }
#if MAXF
		:: d_step { dfail > 0 -> dfail--;
			word[s] = WORD(CLOSING, 0, GEN(word[s]), 0); holder[s] = NONE; bound = bound & ~BIT(s) };
#ifndef MUT_RENEW_NO_POKE
			if :: d_step { poke[MON] = 1 } OR_DIE fi;
#endif
			need = need | BIT(POOL(s))
#endif
		OR_DIE
		fi;
		s = 0
#endif
	:: dial != 0 ->
		s = (dial & 1 -> 0 : (dial & 2 -> 1 : 2));
		p = POOL(s);
		if :: d_step { real[s]++; assert(real[s] <= 1);	/* connect(): the server has one more */
#if BAR
			assert(real[0] + real[1] <= ALLOW)
#endif
			} OR_DIE fi;
		if
		:: d_step { assert(ST(word[s]) == DIALING && OWN(word[s]) == k);
			word[s] = WORD(IDLE, 0, GEN(word[s]), 0); dial = dial & ~BIT(s) }
#if MAXF
		:: d_step { dfail > 0 -> dfail--;
			word[s] = WORD(CLOSING, 0, GEN(word[s]), 0); dial = dial & ~BIT(s) };
			if :: d_step { poke[MON] = 1 } OR_DIE fi
#endif
		OR_DIE
		fi;
#ifndef MUT_DIAL_NO_PUB
		if :: nw[p] > 0 -> PUB(k, p) :: else fi;
#endif
		need = need | BIT(p); s = 0; p = 0
#if MAXT
	:: atomic { nw[0] > 0 && tmo > 0 -> tmo--; SERVED(0) };	/* a wait times out or is cancelled */
		PUB(k, 0)
#if NP > 1
	:: atomic { nw[1] > 0 && tmo > 0 -> tmo--; SERVED(1) };
		PUB(k, 1)
#endif
#endif
#if MAXK
	:: atomic { kills > 0 && pin == 0 -> kills-- };		/* cancel: aimed at the lease that stands in the word now */
		s = 0;
		do
		:: s < NS ->
			if :: d_step { w = word[s]; aim = lno[s]; key = con[s] } OR_DIE fi;	/* the key before the CAS */
			if
#ifdef OWNCANCEL
			:: ST(w) == LEASED && PIN(w) == 0 && OWN(w) == k -> break
#else
			:: ST(w) == LEASED && PIN(w) == 0 -> break
#endif
			:: else -> w = 0; s++
			fi
		:: else -> break
		od;
		if
		:: s < NS ->
			if
#ifdef MUT_PIN_NO_GEN
			:: d_step { ST(word[s]) == LEASED && PIN(word[s]) == 0 ->
				word[s] = WORD(LEASED, OWN(word[s]), GEN(word[s]), k + 1); pin = s + 1; cw = w }
			:: d_step { ST(word[s]) != LEASED || PIN(word[s]) != 0 -> skip }
#else
			:: d_step { word[s] == w -> word[s] = WORD(LEASED, OWN(w), GEN(w), k + 1); pin = s + 1; cw = w }
			:: d_step { word[s] != w -> skip }
#endif
			OR_DIE
			fi
		:: else
		fi;
		w = 0; s = 0
	:: pin != 0 && !sent ->
		if :: d_step { sent = 1; cx[pin - 1] = (con[pin - 1] == key && real[pin - 1] -> aim + 1 : 0) } OR_DIE fi
#ifdef MUT_UNPIN_BEFORE_EOF
	:: pin != 0 && sent ->
#else
	:: pin != 0 && sent && cx[pin - 1] == 0 ->		/* EOF read */
#endif
#ifndef MUT_UNPIN_NO_MATCH
		need = need | BIT(POOL(pin - 1));
#endif
		if :: d_step {
			/* CAS loop in C; given up when generation or pin is another's */
			if
			:: PIN(word[pin - 1]) == k + 1 && GEN(word[pin - 1]) == GEN(cw) ->
				word[pin - 1] = WORD(ST(word[pin - 1]), OWN(word[pin - 1]), GEN(cw), 0)
			:: else
			fi; pin = 0; sent = 0; cw = 0; aim = 0; key = 0 } OR_DIE fi
#endif
#if STALL
	:: d_step { k == 0 && held == 0 && dial == 0 && nw[0] > 0 -> stopped = 1 };	/* SIGSTOP, for ever */
endstop:	false
#endif
	OR_DIE
	fi;
	goto loop;

dead:	skip;	/* kill -9: what it held is in an unknown state */
	d_step {
		s = 0;
		do
		:: s < NS -> if :: holder[s] == k -> holder[s] = NONE; dirty[s] = 1 :: else fi; s++
		:: else -> break
		od;
		s = 0;
		do
		:: s < NP -> nw[s] = 0; t0[s] = 0; t1[s] = 0; s++
		:: else -> break
		od;
		poke[k] = 0;	/* the successor has an eventfd of its own; the hints are gone */
		held = 0; w = 0; cw = 0; s = 0; p = 0; m = 0; i = 0; best = 0; bt = 0; c = 0; g = 0; ml = 0; dial = 0;
		bits = 0; pbits = 0; ok = 0; need = 0; sent = 0; pin = 0; aim = 0; key = 0; pubd = 0; chg = 0; mute = 0;
#if MAXN
		bound = 0;
#endif
		todo = TODO2
	};
	/* master: waitpid, later */
	d_step { proc[k] = DEAD; died = 1; poke[MON] = 1 };
	goto start
}

#if STALL
/*
 * A worker that runs is taken for a stopped one as often as the budget allows, a stopped one at every look. Not the
 * monitor by itself, when it waits (BAR): nobody would ever take slow from it.
 */
#define LATE(y) ((ST(word[y]) == GIVEN || ST(word[y]) == ASKED) && OWN(word[y]) != MON && \
	((stopped && OWN(word[y]) == 0) || backs > 0))
#endif

proctype Monitor()
{
	short w;
	byte s, p, x, dd, m, i, best, bt, c, g, ml, dial, held, pubd, hung, used;
	byte nw[NP], t0[NP], t1[NP];
	bool ok, fully, mute, again, lack;

	goto loop;

sweep:	/* who is dead is noted BEFORE the scan: only those are swept by it */
	if
	:: d_step { x = 0; dd = 0;
		do :: x < NW -> if :: proc[x] == DEAD -> dd = dd | BIT(x) :: else fi; x++ :: else -> break od }
	OR_DIE
	fi;
	x = 0;
	do
	:: x < NS ->
		/* owner dead: repair its word, by CAS: a giver may take it back, a canceller pin it */
		if :: d_step { w = word[x]; ok = (proc[OWN(w)] == DEAD) } OR_DIE fi;
		if
		:: ok && (ST(w) == LEASED || ST(w) == DIALING || ST(w) == GIVEN || ST(w) == ASKED) ->
			ok = 0;
			if
#ifdef MUT_FREE_WITHOUT_EOF
			:: d_step { word[x] == w && (ST(w) == LEASED || ST(w) == DIALING) ->
				word[x] = WORD(FREE, 0, GEN(w), 0); dirty[x] = 0 }
#else
#ifdef MUT_DEAD_TO_IDLE
			:: d_step { word[x] == w && ST(w) == LEASED -> word[x] = WORD(IDLE, 0, GEN(w), 0) }
			:: d_step { word[x] == w && ST(w) == DIALING -> word[x] = WORD(CLOSING, 0, GEN(w), 0) }
#else
			:: d_step { word[x] == w && (ST(w) == LEASED || ST(w) == DIALING) ->
				word[x] = WORD(CLOSING, 0, GEN(w), 0) }
#endif
#endif
			:: d_step { word[x] == w && ST(w) == GIVEN -> word[x] = WORD(IDLE, 0, GEN(w), PIN(w)) }
			:: d_step { word[x] == w && ST(w) == ASKED -> word[x] = WORD(FREE, 0, GEN(w), 0) }
			:: d_step { word[x] != w -> x-- }	/* again */
			OR_DIE
			fi
		:: else -> ok = 0
		fi;
		w = 0; x++
	:: else -> break
	od;
#if MAXK
	x = 0;
	do
	:: x < NS ->
		if
		:: d_step { w = word[x]; ok = (PIN(w) != 0 && PIN(w) != POISON -> proc[PIN(w) - 1] == DEAD : 0) }
		OR_DIE
		fi;
		if
		:: ok ->
			ok = 0;
			if
#ifdef MUT_DEAD_PIN_JUST_DROPPED
			:: d_step { word[x] == w -> word[x] = WORD(ST(w), OWN(w), GEN(w), 0) }
#else
			:: d_step { word[x] == w && ST(w) == IDLE -> word[x] = WORD(CLOSING, 0, GEN(w), 0) }
			:: d_step { word[x] == w && ST(w) != IDLE ->
#ifdef OWNCANCEL
				assert(false);	/* the dead pinner was the owner: its place is CLOSING by now */
#endif
				word[x] = WORD(ST(w), OWN(w), GEN(w), POISON) }
#endif
			:: d_step { word[x] != w -> x-- }
			OR_DIE
			fi
		:: else
		fi;
		w = 0; x++
	:: else -> break
	od;
#endif
	x = 0;
	do
	:: x < NW ->
		if :: d_step { if :: proc[x] == DEAD && SNAP(x) -> proc[x] = SWEPT :: else fi } OR_DIE fi;	/* CAS */
#ifdef MUT_MON_CLEARS_MASK
		if :: d_step { ok = (proc[x] != ALIVE) } OR_DIE fi;
		if :: ok -> ok = 0; if :: d_step { mask[0] = mask[0] & ~BIT(x) } OR_DIE fi :: else fi;
#endif
#ifndef MUT_NO_POKEALL
		p = 0;
		do
		:: p < NP -> if :: d_step { mail[AT(p, x)] = ALLMAIL } OR_DIE fi; p++
		:: else -> break
		od;
		p = 0;
#if NP > 1
#ifndef MUT_POKEALL_NO_PMAIL
		if :: d_step { pmail[x] = BIT(PB) - 1 } OR_DIE fi;
#endif
#endif
		if :: d_step { poke[x] = 1 } OR_DIE fi;
#endif
		x++
	:: else -> break
	od;
	x = 0; fully = 0; dd = 0;

close:
	again = 0;
#if BAR
	/* every place is looked at below, so the own mail is only cleared; what was handed to the monitor: */
	x = 0;
	do
	:: x < NP -> if :: d_step { mail[AT(x, MON)] = 0 } OR_DIE fi; x++
	:: else -> break
	od;
	x = 0;
	do
	:: x < NS ->
		if
		:: d_step { ST(word[x]) == GIVEN && OWN(word[x]) == MON ->
			if
			:: nw[POOL(x)] > 0 -> nw[POOL(x)] = 0; word[x] = WORD(CLOSING, 0, GEN(word[x]), 0)
			:: else -> word[x] = WORD(IDLE, 0, GEN(word[x]), 0)	/* wanted no more */
			fi }
		:: d_step { ST(word[x]) == ASKED && OWN(word[x]) == MON ->
			if
			:: nw[POOL(x)] > 0 -> nw[POOL(x)] = 0; word[x] = WORD(BARRED, 0, GEN(word[x]), 0)
			:: else -> word[x] = WORD(FREE, 0, GEN(word[x]), 0)
			fi }
		:: d_step { !((ST(word[x]) == GIVEN || ST(word[x]) == ASKED) && OWN(word[x]) == MON) -> skip }
		OR_DIE
		fi;
		x++
	:: else -> break
	od;
#endif
	x = 0;
	do
	:: x < NS ->
		if
		:: d_step { ST(word[x]) == CLOSING -> /* true EOF read, and only then: */
			real[x] = 0; dirty[x] = 0; cx[x] = 0; NEWCON(x);
			word[x] = WORD((BAR -> BARRED : FREE), 0, GEN(word[x]), 0) }
		:: d_step { ST(word[x]) != CLOSING -> skip }
		OR_DIE
		fi;
		x++
	:: else -> break
	od;
	x = 0;
#if BAR
	/* who waits for a BARRED place, by the same test as in match? Only the monitor moves places into and out of
	 * BARRED, so counting is exact. */
	d_step { x = 0; used = 0;
		do
#ifdef MUT_UNBAR_BEFORE_EOF
		:: x < NS -> if :: ST(word[x]) != BARRED && ST(word[x]) != CLOSING -> used++ :: else fi; x++
#else
		:: x < NS -> if :: ST(word[x]) != BARRED -> used++ :: else fi; x++
#endif
		:: else -> break
		od; x = 0 };
	do
	:: x < NS ->
		if
		:: ST(word[x]) == BARRED ->
#ifdef HFLAG
#ifndef MUT_FLAG_AFTER_LOOK
			if :: d_step { hungry[POOL(x)] = 0 } OR_DIE fi;
#endif
#endif
			if :: d_step { m = mask[POOL(x)] & WORKERS } OR_DIE fi;
			w = word[x]; best = NONE; bt = 0; i = 0;
			do
			:: i < NW && (m & BIT(i)) ->
				if
				:: d_step { ml = mail[AT(POOL(x), i)]; c = want[AT(POOL(x), i)];
#ifdef MUT_HUNGRY_BY_MASK
					best = i;
#endif
					CONSIDER(i, MON) }
				OR_DIE
				fi;
				i++
			:: i < NW && !(m & BIT(i)) -> i++
			:: i >= NW -> break
			od;
			i = 0; m = 0; bt = 0; w = 0;
#ifdef MUT_FLAG_AFTER_LOOK
			if :: d_step { hungry[POOL(x)] = 0 } OR_DIE fi;
#endif
			if
			:: best != NONE && used < allow ->
				if :: d_step { word[x] = WORD(FREE, 0, GEN(word[x]), 0); used++ } OR_DIE fi
			:: best != NONE && used >= allow ->
				hung = hung | BIT(POOL(x));
#ifdef HFLAG
				if :: d_step { hungry[POOL(x)] = 1 } OR_DIE fi
#endif
			:: best == NONE
			fi;
			best = 0
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = 0;
	if	/* nobody waits for the spare allowance: it may lie ready in any pool */
	:: hung == 0 && used < allow ->
		do
		:: x < NS && ST(word[x]) != BARRED -> x++
		:: x < NS && ST(word[x]) == BARRED ->
			if :: d_step { word[x] = WORD(FREE, 0, GEN(word[x]), 0); used++ } OR_DIE fi;
			break
		:: x < NS - 1 -> x++
		:: x >= NS -> break
		od
	:: true
	fi;
	x = 0;
	/* a place must come back: wait for it like a client, in every pool that has one, so that its own clients who
	 * came earlier go first, and whoever returns one later finds the monitor in the queue */
	p = 0;
	do
	:: p < NP ->
		d_step { x = p; m = 0;
			do
			:: x < NS -> if :: ST(word[x]) != BARRED -> m = 1 :: else fi; x = x + NP
			:: else -> break
			od; x = 0;
			lack = (m && (used > allow || (hung & ~BIT(p)) != 0)) };
		if
		:: lack && nw[p] == 0 ->
			if :: d_step { t0[p] = ticket[p]; ticket[p]++; nw[p] = 1; assert(ticket[p] < 16) } OR_DIE fi;
			PUB(MON, p)
		:: !lack && (nw[p] > 0 || (pubd & BIT(p))) ->
			nw[p] = 0; t0[p] = 0;
			PUB(MON, p)
		:: else
		fi;
		m = 0; p++
	:: else -> break
	od;
	p = 0; hung = 0; lack = 0; used = 0;
#endif
	p = 0;
#ifndef MUT_SWEEP_NO_MATCH
	do
	:: p < NP -> MATCH(MON, p); p++
	:: else -> break
	od;
#endif
	p = 0;
#ifdef MUT_LOOK_ONCE
	do	/* the monitor does not queue: it took what was idle at this moment */
	:: p < NP && nw[p] > 0 -> nw[p] = 0; t0[p] = 0; PUB(MON, p); p++
	:: p < NP && nw[p] == 0 -> p++
	:: p >= NP -> break
	od;
	p = 0;
#endif
#ifndef MUT_NO_SECOND_LOOK
	if :: again -> goto close :: else fi;
#endif

loop:
end:	if
	:: atomic { poke[MON] -> poke[MON] = 0; fully = died; died = 0 };
		if :: fully -> goto sweep :: else -> goto close fi
#if STALL
	:: d_step { LATE(0) -> w = word[0]; x = 0; if :: !(stopped && OWN(w) == 0) -> backs-- :: else fi };
		goto takeback
#if NS > 1
	:: d_step { LATE(1) -> w = word[1]; x = 1; if :: !(stopped && OWN(w) == 0) -> backs-- :: else fi };
		goto takeback
#endif
#if NS > 2
	:: d_step { LATE(2) -> w = word[2]; x = 2; if :: !(stopped && OWN(w) == 0) -> backs-- :: else fi };
		goto takeback
#endif
#endif
#if MAXN
	:: d_step { ended[0] != 0 -> c = ended[0]; ended[0] = 0; x = 0 };
		goto hangup
#if NS > 1
	:: d_step { ended[1] != 0 -> c = ended[1]; ended[1] = 0; x = 1 };
		goto hangup
#endif
#endif
#if MAXR
	:: d_step { reaps > 0 && LEASABLE(word[0]) -> w = word[0]; reaps--; x = 0 };	/* idle for too long, or hung up */
		if
#ifdef MUT_REAP_STORE
		:: d_step { word[x] = WORD(CLOSING, 0, GEN(w), 0) }
#else
		:: d_step { word[x] == w -> word[x] = WORD(CLOSING, 0, GEN(w), 0) }
		:: d_step { word[x] != w -> skip }
#endif
		OR_DIE
		fi;
		w = 0;
		goto close
#endif
	OR_DIE
	fi;
#if MAXN
hangup:	skip;	/* of connection c - 1, which was replaced without the monitor: what stands in its place must not be closed */
#ifdef MUT_END_CON_FIRST
	if :: d_step { ok = (con[x] == c - 1) } OR_DIE fi;
#endif
	if :: d_step { w = word[x] } OR_DIE fi;
#ifdef MUT_END_OF_ANY
	ok = 1;
#else
#ifndef MUT_END_CON_FIRST
	if :: d_step { ok = (con[x] == c - 1) } OR_DIE fi;
#endif
#endif
	if
	:: d_step { ok && LEASABLE(w) && word[x] == w -> assert(con[x] == c - 1); word[x] = WORD(CLOSING, 0, GEN(w), 0) }
	:: d_step { !ok || !LEASABLE(w) || word[x] != w -> skip }
	OR_DIE
	fi;
	ok = 0; w = 0; c = 0; x = 0;
	goto close;
#endif
#if STALL
takeback:	/* unaccepted for too long: pass its owner over until it shows life, take the place back, match */
#ifndef MUT_NO_SLOW
	if :: d_step { slow[OWN(w)] = 1 } OR_DIE fi;
#ifndef MUT_SLOW_NO_POKE
	if :: d_step { poke[OWN(w)] = 1 } OR_DIE fi;
#endif
#endif
	if
	:: d_step { word[x] == w && ST(w) == GIVEN -> word[x] = WORD(IDLE, 0, GEN(w), 0) }
	:: d_step { word[x] == w && ST(w) == ASKED -> word[x] = WORD(FREE, 0, GEN(w), 0) }
	:: d_step { word[x] != w -> skip }
	OR_DIE
	fi;
	w = 0; x = 0;
	goto close;
#endif

dead:	skip;
	d_step {
		x = 0;
		do
		:: x < NP -> nw[x] = 0; t0[x] = 0; t1[x] = 0; x++
		:: else -> break
		od;
		poke[MON] = 0; w = 0; s = 0; p = 0; x = 0; m = 0; i = 0; best = 0; bt = 0; c = 0; g = 0; ml = 0; ok = 0; dd = 0;
		hung = 0; used = 0; mute = 0; again = 0; lack = 0; fully = 1;
		pubd = 0
	};
	/* master: waitpid, fork; a new monitor withdraws what its predecessor may have published and always sweeps */
#if BAR
#ifndef MUT_MON_KEEPS_WANT
	do
	:: p < NP -> PUB(MON, p); p++
	:: else -> break
	od;
	p = 0;
#endif
#endif
	goto sweep
}

#if MAXK
proctype Server()	/* the postmaster delivers a cancel whenever it likes */
{
end:	do
	:: d_step { cx[0] != 0 -> assert(holder[0] == NONE || lno[0] + 1 == cx[0]); cx[0] = 0 }
#if NS > 1
	:: d_step { cx[1] != 0 -> assert(holder[1] == NONE || lno[1] + 1 == cx[1]); cx[1] = 0 }
#endif
	od
}
#endif

#if LOWER
proctype Master()	/* a reload lowers the limit */
{
	d_step { allow-- };
	d_step { poke[MON] = 1 }
}
#endif

#if STALL
#define LIVES(x) ((x) != 0 || !stopped)
#else
#define LIVES(x) true
#endif

proctype Check()
{
	byte x, n;
	timeout;
	d_step {
		x = 0;
		do	/* no place is lost */
		:: x < NS ->
			assert((LEASABLE(word[x]) && real[x] == 1) || (ST(word[x]) == FREE && real[x] == 0) ||
			    (BAR && ST(word[x]) == BARRED && real[x] == 0));
			if :: ST(word[x]) != BARRED -> n++ :: else fi;
			x++
		:: else -> break
		od;
#if BAR
		assert(n <= allow);
#endif
		x = 0;
		do	/* no client is forgotten */
		:: x < NP * NW -> assert(want[AT(x / NW, x % NW)] == 0 || !LIVES(x % NW)); x++
		:: else -> break
		od;
		x = 0;
		do
		:: x < NW -> assert(proc[x] == ALIVE); x++
		:: else -> break
		od;
		x = 0;
		do
		:: x < NP -> assert((mask[x] & ~(LIVES(0) -> 0 : 1)) == 0); x++
		:: else -> break
		od
	}
}

init {
	byte x;
	atomic {
		word[0] = WORD(INIT0, 0, 0, 0); real[0] = (INIT0 == IDLE);
#if NS > 1
		word[1] = WORD(INIT1, 0, 0, 0); real[1] = (INIT1 == IDLE);
#endif
#if NS > 2
		word[2] = WORD(INIT2, 0, 0, 0); real[2] = (INIT2 == IDLE);
#endif
		do
		:: x < NS -> holder[x] = NONE; x++
		:: else -> break
		od;
		x = 0;
		do
		:: x < NA -> proc[x] = ALIVE; x++
		:: else -> break
		od;
		x = 0;
		do :: crashes < MAXC -> crashes++ :: break od;
		do :: tmo < MAXT -> tmo++ :: break od;
		do :: dfail < MAXF -> dfail++ :: break od;
		do :: kills < MAXK -> kills++ :: break od;
		do :: reaps < MAXR -> reaps++ :: break od;
		do :: renews < MAXN -> renews++ :: break od;
		do
		:: x < NW -> run Worker(x); x++
		:: else -> break
		od;
		x = 0;
		run Monitor();
#if MAXK
		run Server();
#endif
#if LOWER
		run Master();
#endif
		run Check()
	}
}
