/*
 * fair.pml: how often is a waiting client overtaken?
 *
 * Owns: the order in which pool.pml's protocol serves. Workers lease, wait and return for ever; nobody dies or cancels,
 * and there is no generation: words are compared by value, which lets more CASes succeed. One client of worker 0
 * that queues, any of them, is the victim. Called by run.sh (which has the table of bounds) through one.sh.
 *
 * Claims: after the victim's want has been published, and until its worker has been given a place for it, at most BOUND
 * leases are taken by others (LATER: by others who came later, with a later ticket or none. XFER: not counted while its
 * worker has unread mail); and it is served at all, if everybody goes on (ltl live, pan -a -f).
 *
 * Bounds: NW workers (3), NS places (1), NC clients of worker 1 (1), NC0 of worker 0 (1), NC2 of the others (NC)
 *   XFER  a worker hands its lease to its own oldest client if that one's ticket is at most DIST (1) later than the
 *         oldest published one of others who have no unread mail
 *   CAP   tickets are numbered from the oldest that is still in use; while the next would be CAP, no client comes (XFER
 *         only: without it only their order matters, unused numbers close up and no cap is needed)
 */
#ifndef NW
#define NW 3
#endif
#ifndef NS
#define NS 1
#endif
#ifndef NC
#define NC 1
#endif
#ifndef NC2
#define NC2 NC
#endif
#ifndef NC0
#define NC0 1
#endif
#ifndef BOUND
#define BOUND (NW - 1)
#endif
#ifndef DIST
#define DIST 1
#endif
#ifndef ROUNDS
#define ROUNDS 0
#endif
#ifndef CAP
#define CAP (BOUND + 2 * NW + 2)
#endif
#ifdef XFER
#define ARRIVE  (next < CAP && todo > 0)
#define WATCHED (published && !handed && mail[0] == 0)
#else
#define ARRIVE  true
#define WATCHED (published && !handed)
#endif

#define IDLE   0
#define GIVEN  1
#define LEASED 2
#define NONE   7
#define BIT(x) (1 << (x))

byte st[NS], own[NS];	/* a place's word */
byte mask, next;
byte wn[NW];		/* published number of waiters; the ticket with it is WT */
byte mail[NW];
bool poke[NW];
byte nq[NW];		/* local: clients that wait, their tickets in Q */

/* every copy of a ticket, so that renumbering reaches all of them */
#define NOT 63
#define NQ  (NW * NC)
#define Q(k, i) ref[(k) * NC + (i)]	/* local FIFO */
#define WT(k)   ref[NQ + (k)]		/* published oldest */
#define BT(k)   ref[NQ + NW + (k)]	/* local: best found by match */
#define LO(k)   ref[NQ + 2 * NW + (k)]	/* local: oldest found before a transfer */
#define TV      ref[NQ + 3 * NW]	/* the victim's */
#define NR      (NQ + 3 * NW + 1)
byte ref[NR];

byte over;
bool published, handed, served;

inline RENUMBER() {
	v = 0;
	do
	:: v >= next -> break
	:: else ->
		i = 0;
		do
		:: i < NR && ref[i] != v -> i++
		:: else -> break
		od;
		if
		:: i == NR ->
			i = 0;
			do
			:: i < NR -> if :: ref[i] > v && ref[i] != NOT -> ref[i]-- :: else fi; i++
			:: else -> break
			od;
			next--
#ifdef XFER
		:: i < NR -> break
#else
		:: i < NR -> v++
#endif
		fi
	od;
	i = 0; v = 0
}

/* ghost: a place is leased to the client of k with ticket t (NOT: it never had one) */
inline TAKEN(k, t) {
#ifdef LATER
	if :: WATCHED && t > TV -> over++; assert(over <= BOUND) :: else fi;
#else
	if :: WATCHED && t != TV -> over++; assert(over <= BOUND) :: else fi;
#endif
	if :: published && t == TV -> handed = 1; served = 1; TV = NOT :: else fi
}

/* ghost: has worker 0 more places on the way than clients in front of the victim? */
inline HANDED() {
	i = 0; v = 0;
	do :: i < NS -> if :: st[i] == GIVEN && own[i] == 0 -> v++ :: else fi; i++ :: else -> break od;
	i = 0;
	do :: i < nq[0] && Q(0, i) != TV -> i++ :: else -> break od;
	handed = handed || (published && v > i);
	i = 0; v = 0
}

inline POP(k) {	/* the oldest client of k leaves the FIFO */
	i = 1;
	do :: i < NC -> Q(k, i - 1) = Q(k, i); i++ :: else -> break od;
	Q(k, NC - 1) = NOT; nq[k]--; i = 0
}

#define PUBLISHED(k) if :: k == 0 && TV != NOT && !published -> published = 1; HANDED() :: else fi

inline PUB(k) {
	d_step { wn[k] = nq[k]; WT(k) = Q(k, 0);
		RENUMBER();
		if :: mask & BIT(k) -> PUBLISHED(k) :: else fi };
	if
	:: nq[k] == 0 -> d_step { mask = mask & ~BIT(k) }
	:: nq[k] > 0 && !(mask & BIT(k)) -> d_step { mask = mask | BIT(k); PUBLISHED(k) }
	:: nq[k] > 0 && (mask & BIT(k))
	fi
}

/* c: the first, the next worker in m */
inline FIRST(m) {
	c = 0;
	do :: c < NW && !(m & BIT(c)) -> c++ :: else -> break od;
	skip
}
inline FOLLOWING(m) {
	c++;
	do :: c < NW && !(m & BIT(c)) -> c++ :: else -> break od;
	skip
}

#define MAILS(k) ((mail[k] & 1) + ((mail[k] >> 1) & 1))

inline MATCH(k) {
	s = 0;
	do
	:: s >= NS -> break
	:: else ->
		d_step { m = mask };
		if :: m == 0 -> break :: else fi;
		if
		:: d_step { st[s] != IDLE -> s++ }
		:: d_step { st[s] == IDLE -> best = NONE; BT(k) = NOT; FIRST(m) };
			do
			:: c < NW ->
				d_step {
					if
					:: wn[c] > (c == k -> 0 : MAILS(c)) && (best == NONE || WT(c) < BT(k)) ->
						best = c; BT(k) = WT(c)
					:: else
					fi;
					FOLLOWING(m);
					if :: c >= NW -> BT(k) = NOT :: else fi }
			:: else -> break
			od;
			c = 0;
			if
			:: best == NONE -> s++
			:: best == k ->
				if
				:: d_step { st[s] == IDLE -> st[s] = LEASED; own[s] = k; nh++; ok = 1; t = Q(k, 0);
					TAKEN(k, t); t = 0;
					POP(k)
					}
				:: d_step { st[s] != IDLE -> skip }
				fi;
				if :: ok -> ok = 0; PUB(k); s++ :: else fi
			:: else ->
				if
				:: d_step { st[s] == IDLE -> st[s] = GIVEN; own[s] = best; ok = 1;
					HANDED()
					}
				:: d_step { st[s] != IDLE -> skip }
				fi;
				if
				:: ok -> ok = 0; d_step { mail[best] = mail[best] | BIT(s) }; d_step { poke[best] = 1 }; s++
				:: else
				fi
			fi;
			best = 0
		fi
	od;
	s = 0; m = 0; best = 0
}

proctype W(byte k)
{
	byte m, i, c, s, t, v, best, bits, nh;
	bool ok, chg;
#ifdef XFER
	byte todo = (ROUNDS -> ROUNDS : 1);
#endif

end:	do
	:: !served && nq[k] + nh < (k == 0 -> NC0 : (k == 1 -> NC : NC2)) && ARRIVE ->	/* a client wants a connection */
		d_step { m = mask };
#if ROUNDS
		todo--;
#endif
		s = 0;
		do
#ifdef MUT_LEASE_IGNORES_QUEUE
		:: s < NS && !ok ->
#else
		:: s < NS && !ok && m == 0 ->
#endif
			if
			:: d_step { st[s] == IDLE -> st[s] = LEASED; own[s] = k; nh++; ok = 1; t = NOT;
				TAKEN(k, t); t = 0 }
			:: d_step { st[s] != IDLE -> s++ }
			fi
		:: else -> break
		od;
		m = 0; s = 0;
		if
		:: ok -> ok = 0
		:: else ->
			if
			:: k == 0 && TV == NOT ->	/* this one is the victim */
				d_step { TV = next; Q(k, nq[k]) = next; nq[k]++; next++ }
			:: true ->
				d_step { Q(k, nq[k]) = next; nq[k]++; next++ }
			fi;
			PUB(k);
			MATCH(k)
		fi
	:: !served && nh > 0 ->					/* a client is done */
		s = 0;
		do :: s < NS && !(st[s] == LEASED && own[s] == k) -> s++ :: else -> break od;
		assert(s < NS);
#ifdef XFER
		if
		:: nq[k] > 0 ->
			d_step { m = mask; FIRST(m) };
			do
			:: c < NW ->
				d_step {
					if
					:: wn[c] > 0 && mail[c] == 0 && WT(c) < LO(k) -> LO(k) = WT(c)
					:: else
					fi;
					FOLLOWING(m) }
			:: else -> break
			od;
			c = 0; m = 0;
			if
#ifdef MUT_NO_DISTANCE
			:: d_step { true ->
#else
			:: d_step { LO(k) == NOT || Q(k, 0) <= LO(k) + DIST ->
#endif
				t = Q(k, 0); ok = 1; TAKEN(k, t); t = 0;
				POP(k); LO(k) = NOT }
			:: d_step { else -> LO(k) = NOT }
			fi;
		:: else
		fi;
#endif
		if
		:: ok -> ok = 0; s = 0; PUB(k)
		:: else ->
			d_step { st[s] = IDLE; nh--; s = 0 };
			MATCH(k)
		fi
	:: atomic { !served && poke[k] -> poke[k] = 0 };
		d_step { bits = mail[k]; mail[k] = 0 };
		s = 0;
		do
		:: s < NS ->
			if
			:: (bits & BIT(s)) ->
				if
				:: d_step { st[s] == GIVEN && own[s] == k -> st[s] = LEASED; nh++; chg = 1;
					if :: nq[k] > 0 -> t = Q(k, 0);
						TAKEN(k, t); t = 0;
						POP(k)
					:: else fi }
				:: d_step { !(st[s] == GIVEN && own[s] == k) -> skip }
				fi
			:: else
			fi;
			s++
		:: else -> break
		od;
		s = 0; bits = 0;
		if :: chg -> chg = 0; PUB(k) :: else fi;
		if :: nq[k] > 0 -> MATCH(k) :: else fi
	od
}

init {
	byte x;
	atomic {
		do :: x < NR -> ref[x] = NOT; x++ :: else -> break od;
		x = 0;
		do :: x < NW -> run W(x); x++ :: else -> break od
	}
}

ltl live { [] (published -> <> served) }
