// Clients that do everything in random order; what must hold is the same as in tests/e2e/harness/applications.py.
//
// usage: pgx chaos DSN SEED PORT...     one client for each port: that of DSN, or one of a proxy that cuts connections
//
// On a line of standard input all clients begin anew, look at their settings and stay; then "here CLIENTS" is printed. At its end
// they leave, and the last line is a JSON object of what was done and what became of each row. The first client that meets what
// it should not ends the program with a message and the exit code 1.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	insert    = "INSERT INTO written VALUES ($1, $2::int, $3::int, $4)"
	committed = "committed"
	failed    = "failed"
	unknown   = "unknown"
	stuck     = 150 * time.Second
)

var (
	names    = []string{"application_name", "work_mem", "statement_timeout", "search_path", "TimeZone", "chaos.word"}
	defaults = map[string]string{"application_name": "", "work_mem": "4MB", "statement_timeout": "0",
		"search_path": `"$user", public`, "TimeZone": "UTC", "chaos.word": ""}
	zones  = []string{"Asia/Tokyo", "Europe/Berlin", "America/Lima", "Africa/Cairo"}
	ending atomic.Bool
	leave  = make(chan struct{})

	errLeft = errors.New("the client ended its session itself")
)

// lostError is a connection that ended without a word of the server.
type lostError struct{ error }

type settings map[string]string

func (s settings) copy() settings {
	made := settings{}
	for name, value := range s {
		made[name] = value
	}
	return made
}

type client struct {
	number   int
	direct   bool // not through the proxy
	config   *pgx.ConnConfig
	dice     *rand.Rand
	db       *pgx.Conn
	asked    int
	losses   int
	sessions int
	rows     []string // what became of each
	pending  []int
	deciding bool
	startup  settings
	now      settings // as the session is to see them
	kept     settings // in a transaction: what a commit leaves
	before   settings // and a rollback
	steps    map[string]int
}

func (c *client) word() string {
	c.asked++
	return fmt.Sprintf("pgx-%d-%d", c.number, c.asked)
}

func (c *client) chance(p float64) bool { return c.dice.Float64() < p }

// judge sorts the driver's errors: the server's own stay, and what is neither they nor a lost connection stays too.
func (c *client) judge(err error) error {
	var refused *pgconn.PgError
	if err == nil || errors.As(err, &refused) || !c.db.IsClosed() {
		return err
	}
	return lostError{err}
}

func expect(got, wanted interface{}, what string) error {
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", wanted) {
		return fmt.Errorf("%s: wanted %q, got %q", what, wanted, got)
	}
	return nil
}

func (c *client) exec(ctx context.Context, sql string, values ...interface{}) error {
	_, err := c.db.Exec(ctx, sql, values...)
	return c.judge(err)
}

// texts are the rows of a query with one column.
func (c *client) texts(ctx context.Context, sql string, values ...interface{}) ([]string, error) {
	rows, err := c.db.Query(ctx, sql, values...)
	if err != nil {
		return nil, c.judge(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return got, c.judge(err)
}

func (c *client) ask(ctx context.Context, wanted, what, sql string, values ...interface{}) error {
	got, err := c.texts(ctx, sql, values...)
	if err != nil {
		return err
	}
	return expect(got, []string{wanted}, what)
}

func refused(err error, sqlstate string) error {
	var problem *pgconn.PgError
	if errors.As(err, &problem) && problem.Code == sqlstate {
		return nil
	}
	if err == nil {
		return fmt.Errorf("wanted the error %s, got none", sqlstate)
	}
	return err
}

// -- rows, and what became of them

func (c *client) row() []interface{} {
	number := len(c.rows)
	c.rows = append(c.rows, "")
	c.pending = append(c.pending, number)
	return []interface{}{"pgx", c.number, number, strings.Repeat("x", []int{0, 10, 10, 3000}[c.dice.Intn(4)])}
}

func (c *client) settle(outcome string) {
	for _, number := range c.pending {
		c.rows[number] = outcome
	}
	c.pending, c.deciding = nil, false
}

// settleLast is for the youngest row alone.
func (c *client) settleLast(outcome string) {
	last := len(c.pending) - 1
	c.rows[c.pending[last]] = outcome
	c.pending = c.pending[:last]
}

// atOnce is a write that commits by itself.
func (c *client) atOnce(write func() error) error {
	c.deciding = true
	err := write()
	if err == nil {
		c.settle(committed)
	}
	return err
}

// -- steps

func (c *client) look(ctx context.Context) error {
	sql := "SELECT $1::text"
	for _, name := range names {
		sql += fmt.Sprintf(", coalesce(current_setting('%s', true), '')", name)
	}
	word := c.word()
	got, wanted := make([]string, len(names)+1), []string{word}
	into := make([]interface{}, len(got))
	for n := range got {
		into[n] = &got[n]
	}
	for _, name := range names {
		wanted = append(wanted, c.now[name])
	}
	values := []interface{}{word}
	if c.chance(0.3) {
		values = []interface{}{pgx.QueryExecModeExec, word}
	}
	if err := c.judge(c.db.QueryRow(ctx, sql, values...).Scan(into...)); err != nil {
		return err
	}
	return expect(got, wanted, "settings")
}

func (c *client) simple(ctx context.Context) error {
	word := c.word()
	return c.ask(ctx, word, "simple query", fmt.Sprintf("SELECT '%s'", word), pgx.QueryExecModeSimpleProtocol)
}

func (c *client) several(ctx context.Context) error {
	a, b := c.word(), c.word()
	results, err := c.db.PgConn().Exec(ctx, fmt.Sprintf("SELECT '%s'; SELECT '%s'", a, b)).ReadAll()
	if err != nil {
		return c.judge(err)
	}
	var got []string
	for _, result := range results {
		for _, row := range result.Rows {
			got = append(got, string(row[0]))
		}
	}
	return expect(got, []string{a, b}, "two in one text")
}

func (c *client) parameters(ctx context.Context) error {
	word := c.word()
	mode := []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe}[c.dice.Intn(3)]
	return c.ask(ctx, word, "parameters", "SELECT $1::text AS chaos", mode, word)
}

func (c *client) prepared(ctx context.Context) error {
	word, kind := c.word(), c.dice.Intn(10)
	return c.ask(ctx, fmt.Sprintf("%s%d", word, kind), "prepared", fmt.Sprintf("SELECT $1::text || '%d'", kind), word)
}

func (c *client) named(ctx context.Context) error {
	word := c.word()
	if _, err := c.db.Prepare(ctx, "mine", "SELECT $1::text || ' of pgx'"); err != nil {
		return c.judge(err)
	}
	return c.ask(ctx, word+" of pgx", "named statement", "mine", word)
}

func (c *client) pipelined(ctx context.Context) error {
	batch, words := &pgx.Batch{}, []string{}
	for n := 2 + c.dice.Intn(9); n > 0; n-- {
		words = append(words, c.word())
		batch.Queue("SELECT $1::text AS piped", words[len(words)-1])
	}
	results := c.db.SendBatch(ctx, batch)
	defer results.Close()
	for _, word := range words {
		var got string
		if err := results.QueryRow().Scan(&got); err != nil {
			results.Close()
			return c.judge(err)
		}
		if err := expect(got, word, "pipeline"); err != nil {
			return err
		}
	}
	return c.judge(results.Close())
}

func (c *client) large(ctx context.Context) error {
	word, times, rows := c.word(), 100+c.dice.Intn(3000), 1+c.dice.Intn(10)
	got, err := c.texts(ctx, "SELECT repeat($1, $2::int) FROM generate_series(1, $3::int)", word, times, rows)
	if err != nil {
		return err
	}
	good := len(got) == rows
	for _, row := range got {
		good = good && row == strings.Repeat(word, times)
	}
	return expect(good, true, "large rows are its own")
}

func (c *client) failing(ctx context.Context) error {
	return refused(c.exec(ctx, "SELECT $1::text, 1 / $2::int", c.word(), 0), "22012")
}

func (c *client) set(name, value string) {
	c.now[name] = value
	c.kept[name] = value
}

// change sets something; only what is acknowledged counts.
func (c *client) change(ctx context.Context, local bool) error {
	name := names[c.dice.Intn(len(names))]
	value := map[string]string{
		"application_name": c.word(), "work_mem": fmt.Sprintf("%dkB", 2001+2*c.dice.Intn(40_000)),
		"statement_timeout": fmt.Sprintf("%dms", 200_001+c.number), "search_path": fmt.Sprintf("public, pgx_%d", c.number),
		"TimeZone":   zones[c.dice.Intn(len(zones))],
		"chaos.word": c.word() + []string{"", "'", `"\`, "%s $1"}[c.dice.Intn(4)]}[name]
	word, literal := "", "'"+strings.ReplaceAll(value, "'", "''")+"'"
	if local {
		word = "LOCAL "
	}
	if name == "search_path" {
		literal = value
	}
	var err error
	switch c.dice.Intn(3) {
	case 0:
		err = c.ask(ctx, value, "set_config", "SELECT set_config($1, $2, $3)", name, value, local)
	case 1:
		err = c.exec(ctx, fmt.Sprintf("SET %s%s = %s", word, name, literal), pgx.QueryExecModeSimpleProtocol)
	default:
		err = c.exec(ctx, fmt.Sprintf("SET %s%s = %s", word, name, literal), pgx.QueryExecModeExec)
	}
	if err != nil {
		return err
	}
	c.now[name] = value
	if !local {
		c.set(name, value)
	}
	return nil
}

func (c *client) changeAndLook(ctx context.Context) error {
	if err := c.change(ctx, false); err != nil {
		return err
	}
	return c.look(ctx)
}

func (c *client) reset(ctx context.Context) error {
	if c.chance(0.3) {
		if err := c.exec(ctx, "RESET ALL"); err != nil {
			return err
		}
		c.now, c.kept = c.startup.copy(), c.startup.copy()
		return nil
	}
	name := names[c.dice.Intn(len(names))]
	if err := c.exec(ctx, "RESET "+name); err != nil {
		return err
	}
	c.set(name, c.startup[name])
	return nil
}

func (c *client) insert(ctx context.Context) error {
	return c.atOnce(func() error { return c.exec(ctx, insert, c.row()...) })
}

// insertMany is a batch with one Sync at its end: all or nothing.
func (c *client) insertMany(ctx context.Context) error {
	return c.atOnce(func() error {
		batch := &pgx.Batch{}
		for n := 1 + c.dice.Intn(6); n > 0; n-- {
			batch.Queue(insert, c.row()...)
		}
		return c.judge(c.db.SendBatch(ctx, batch).Close())
	})
}

func (c *client) copyRows(ctx context.Context, rows [][]interface{}) error {
	_, err := c.db.CopyFrom(ctx, pgx.Identifier{"written"}, []string{"driver", "client", "number", "filler"}, pgx.CopyFromRows(rows))
	return c.judge(err)
}

func (c *client) someRows(most int) (rows [][]interface{}) {
	for n := 1 + c.dice.Intn(most); n > 0; n-- {
		rows = append(rows, c.row())
	}
	return rows
}

func (c *client) copyIn(ctx context.Context) error {
	rows := c.someRows(40)
	if !c.chance(0.3) {
		return c.atOnce(func() error { return c.copyRows(ctx, rows) })
	}
	text := ""
	for _, row := range append(rows, []interface{}{"pgx", "no number", 0, ""}) {
		text += fmt.Sprintf("%v\t%v\t%v\t%v\n", row...)
	}
	_, err := c.db.PgConn().CopyFrom(ctx, strings.NewReader(text), "COPY written FROM STDIN")
	if err := refused(c.judge(err), "22P02"); err != nil {
		return err
	}
	c.settle(failed)
	return nil
}

// savepoint is an error, and all since the savepoint is taken back.
func (c *client) savepoint(ctx context.Context, tx pgx.Tx) error {
	now, kept := c.now.copy(), c.kept.copy()
	inner, err := tx.Begin(ctx)
	if err != nil {
		return c.judge(err)
	}
	if err := c.exec(ctx, insert, c.row()...); err != nil {
		return err
	}
	if err := c.change(ctx, c.chance(0.5)); err != nil {
		return err
	}
	if err := refused(c.exec(ctx, "SELECT 1 / $1::int", 0), "22012"); err != nil {
		return err
	}
	if err := inner.Rollback(ctx); err != nil {
		return c.judge(err)
	}
	c.settleLast(failed)
	c.now, c.kept = now, kept
	return nil
}

func (c *client) inTransaction(ctx context.Context, tx pgx.Tx) error {
	switch c.dice.Intn(7) {
	case 0, 1:
		return c.exec(ctx, insert, c.row()...)
	case 2:
		return c.look(ctx)
	case 3:
		return c.change(ctx, true)
	case 4:
		return c.change(ctx, false)
	case 5:
		return c.copyRows(ctx, c.someRows(5))
	default:
		return c.savepoint(ctx, tx)
	}
}

func (c *client) begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := c.db.Begin(ctx)
	c.before, c.kept = c.now.copy(), c.now.copy()
	return tx, c.judge(err)
}

func (c *client) rollback(ctx context.Context, tx pgx.Tx) error {
	if err := tx.Rollback(ctx); err != nil {
		return c.judge(err)
	}
	c.settle(failed)
	c.now, c.kept = c.before.copy(), c.before.copy()
	return c.look(ctx)
}

func (c *client) transaction(ctx context.Context) error {
	tx, err := c.begin(ctx)
	if err != nil {
		return err
	}
	for n := 1 + c.dice.Intn(5); n > 0; n-- {
		if err := c.inTransaction(ctx, tx); err != nil {
			return err
		}
	}
	switch c.dice.Intn(6) {
	case 0:
		return c.rollback(ctx, tx)
	case 1:
		if err := refused(c.exec(ctx, "SELECT 1 / $1::int", 0), "22012"); err != nil {
			return err
		}
		if err := refused(c.exec(ctx, "SELECT 1"), "25P02"); err != nil {
			return err
		}
		return c.rollback(ctx, tx)
	case 2:
		return c.gone()
	}
	c.deciding = true
	if err := tx.Commit(ctx); err != nil {
		return c.judge(err)
	}
	c.settle(committed)
	c.now = c.kept.copy()
	return c.look(ctx)
}

// slow is a query that a cancel may meet.
func (c *client) slow(word string) string {
	return fmt.Sprintf("SELECT '%s' FROM pg_sleep(%v)", word, []float64{0, 0.005, 0.02}[c.dice.Intn(3)])
}

func (c *client) pause(most float64) {
	time.Sleep(time.Duration(c.dice.Float64() * most * float64(time.Second)))
}

// cancelled may come too early or too late; nobody else may notice, nor this client's next query.
func (c *client) cancelled(ctx context.Context) error {
	word, done := c.word(), make(chan error, 1)
	sql := c.slow(word)
	go func() { done <- c.ask(ctx, word, "cancelled query", sql) }()
	c.pause(0.3)
	c.db.PgConn().CancelRequest(ctx) // its own connection may be cut
	if err := <-done; err != nil {
		if err := refused(err, "57014"); err != nil {
			return err
		}
	}
	return c.parameters(ctx)
}

// hunted: cancels are on their way when the transaction ends; whoever gets the connection next may not be hit.
func (c *client) hunted(ctx context.Context) error {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := c.parameters(ctx); err != nil {
		return err
	}
	hunt, times := make(chan struct{}), 1+c.dice.Intn(4)
	go func() {
		for ; times > 0; times-- {
			c.db.PgConn().CancelRequest(ctx)
		}
		close(hunt)
	}()
	_, err := c.orCancelled(c.exec(ctx, fmt.Sprintf("SELECT FROM pg_sleep(%v)", []float64{0, 0, 0.001, 0.003}[c.dice.Intn(4)])))
	for done := false; err == nil && !done; {
		done, err = c.orCancelled(c.exec(ctx, "ROLLBACK"))
	}
	<-hunt
	if err != nil {
		return err
	}
	return c.parameters(ctx)
}

// orCancelled says whether it was not.
func (c *client) orCancelled(err error) (bool, error) {
	if err == nil {
		return true, nil
	}
	return false, refused(err, "57014")
}

// outOfTime: pgx gives up the connection when the context of a query ends, and sends a cancel request behind our back.
func (c *client) outOfTime(ctx context.Context) error {
	word := c.word()
	limit, end := context.WithTimeout(ctx, time.Millisecond+time.Duration(c.dice.Intn(50_000))*time.Microsecond)
	defer end()
	err := c.ask(limit, word, "query with a time limit", c.slow(word))
	switch {
	case err == nil || limit.Err() == nil:
		return err
	case c.db.IsClosed():
		return errLeft
	case pgconn.SafeToRetry(err): // over before it began
		return nil
	}
	return err
}

func (c *client) statementTimeout(ctx context.Context) error {
	asleep := fmt.Sprintf("SELECT '%s' FROM pg_sleep(100)", c.word())
	if c.chance(0.5) {
		tx, err := c.begin(ctx)
		if err != nil {
			return err
		}
		if err := c.exec(ctx, "SET LOCAL statement_timeout = '50ms'"); err != nil {
			return err
		}
		if err := refused(c.exec(ctx, asleep), "57014"); err != nil {
			return err
		}
		return c.rollback(ctx, tx)
	}
	if err := c.exec(ctx, "SET statement_timeout = '50ms'"); err != nil {
		return err
	}
	// pgx prepares it first, and that may be ended too
	if err := refused(c.exec(ctx, asleep), "57014"); err != nil {
		return err
	}
	for done, err := false, error(nil); !done; {
		if done, err = c.orCancelled(c.exec(ctx, "SET statement_timeout = 0")); err != nil {
			return err
		}
	}
	c.set("statement_timeout", "0")
	return c.look(ctx)
}

// gone closes the socket without a Terminate.
func (c *client) gone() error {
	c.db.PgConn().Conn().Close()
	return errLeft
}

// vanish leaves in the middle of something whose end it does not wait for.
func (c *client) vanish(ctx context.Context) error {
	sql, values := c.slow(c.word()), []interface{}{}
	switch c.dice.Intn(4) {
	case 0:
		return c.gone()
	case 1:
		c.deciding = true
		sql, values = insert, c.row()
	case 2:
		sql = "SELECT repeat('x', 10000) FROM generate_series(1, 300)"
	}
	done := make(chan struct{})
	go func() {
		c.db.Exec(ctx, sql, values...)
		close(done)
	}()
	c.pause(0.02)
	err := c.gone()
	<-done
	return err
}

type step struct {
	name string
	do   func(*client, context.Context) error
}

var steps = []step{
	{"simple", (*client).simple}, {"several", (*client).several}, {"parameters", (*client).parameters},
	{"prepared", (*client).prepared}, {"named", (*client).named}, {"pipelined", (*client).pipelined}, {"large", (*client).large},
	{"failing", (*client).failing}, {"change_and_look", (*client).changeAndLook}, {"change_and_look", (*client).changeAndLook},
	{"look", (*client).look}, {"reset", (*client).reset}, {"insert", (*client).insert}, {"insert", (*client).insert},
	{"insert_many", (*client).insertMany}, {"copy_in", (*client).copyIn}, {"transaction", (*client).transaction},
	{"transaction", (*client).transaction}, {"transaction", (*client).transaction}, {"cancelled", (*client).cancelled},
	{"hunted", (*client).hunted}, {"out_of_time", (*client).outOfTime}, {"statement_timeout", (*client).statementTimeout}, {"vanish", (*client).vanish},
}

// -- a client's life

func (c *client) arrive(ctx context.Context) error {
	c.sessions++
	c.startup["application_name"] = c.word()
	c.now, c.kept = c.startup.copy(), c.startup.copy()
	config := c.config.Copy()
	config.RuntimeParams["application_name"] = c.startup["application_name"]
	if c.number%3 > 0 {
		config.RuntimeParams["work_mem"] = c.startup["work_mem"]
	}
	db, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			return err
		}
		return lostError{err}
	}
	c.db = db
	return c.look(ctx)
}

// within names the step when it does not come to an end.
func (c *client) within(s step) error {
	ctx, end := context.WithTimeout(context.Background(), stuck)
	defer end()
	err := s.do(c, ctx)
	c.steps[s.name]++
	if ctx.Err() != nil {
		return fmt.Errorf("%s does not come to an end: %v", s.name, err)
	}
	if err != nil && !errors.As(err, new(lostError)) && err != errLeft {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return err
}

func (c *client) session() error {
	if err := c.within(step{"arrive", (*client).arrive}); err != nil {
		return err
	}
	for n := 1 + c.dice.Intn(40); n > 0 && !ending.Load(); n-- {
		if err := c.within(steps[c.dice.Intn(len(steps))]); err != nil {
			return err
		}
	}
	c.db.Close(context.Background())
	return nil
}

// excuse is nil for what may happen.
func (c *client) excuse(err error) error {
	if err == nil {
		return nil
	}
	lost := errors.As(err, new(lostError))
	if !lost && err != errLeft {
		return err
	}
	outcome := failed
	if c.deciding {
		outcome = unknown
	}
	c.settle(outcome)
	if lost {
		c.losses++
		if c.direct {
			return fmt.Errorf("lost its connection, which nobody had cut: %w", err)
		}
	}
	if c.db != nil {
		c.db.PgConn().Conn().Close()
	}
	return nil
}

func (c *client) life(here func()) error {
	for !ending.Load() {
		if err := c.excuse(c.session()); err != nil {
			return err
		}
	}
	for {
		err := c.within(step{"arrive", (*client).arrive})
		if err == nil {
			break
		}
		if err := c.excuse(err); err != nil {
			return err
		}
	}
	here()
	<-leave
	return c.db.Close(context.Background())
}

func newClient(dsn, seed string, number int, port string) *client {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		panic(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	direct := config.Port == uint16(n)
	config.Port = uint16(n)
	for _, fallback := range config.Fallbacks {
		fallback.Port = config.Port
	}
	config.ConnectTimeout = stuck
	hash := fnv.New64()
	fmt.Fprintf(hash, "%s pgx %d", seed, number)
	c := &client{number: number, direct: direct, config: config, dice: rand.New(rand.NewSource(int64(hash.Sum64()))),
		startup: settings(defaults).copy(), rows: []string{}, steps: map[string]int{}}
	if number%3 > 0 {
		c.startup["work_mem"] = fmt.Sprintf("%dkB", 2001+2*number)
	}
	return c
}

func report(clients []*client) {
	made := struct {
		Steps    map[string]int `json:"steps"`
		Losses   []int          `json:"losses"`
		Sessions int            `json:"sessions"`
		Rows     [][]string     `json:"rows"`
	}{Steps: map[string]int{}}
	for _, c := range clients {
		made.Losses = append(made.Losses, c.losses)
		made.Sessions += c.sessions
		made.Rows = append(made.Rows, c.rows)
		for name, number := range c.steps {
			made.Steps[name] += number
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
		panic(err)
	}
}

func chaos(dsn, seed string, ports []string) {
	var clients []*client
	var here, group sync.WaitGroup
	for number, port := range ports {
		clients = append(clients, newClient(dsn, seed, number, port))
	}
	for _, c := range clients {
		here.Add(1)
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			if err := c.life(here.Done); err != nil {
				fmt.Printf("pgx %d, after %d words: %v\n", c.number, c.asked, err)
				os.Exit(1)
			}
		}(c)
	}
	orders := bufio.NewScanner(os.Stdin)
	orders.Scan()
	ending.Store(true)
	here.Wait()
	fmt.Println("here", len(clients))
	orders.Scan()
	close(leave)
	group.Wait()
	report(clients)
}
