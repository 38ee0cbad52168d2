// lib/pq behind database/sql at its default settings; ../README.md says what each client does.
//
// usage: pq HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	look = `SELECT current_setting('application_name'), current_setting('TimeZone'),
		current_setting('search_path'), current_setting('statement_timeout')`
	insert = "INSERT INTO uses VALUES ('pq', $1, $2, $3, $4)"
)

type asker interface {
	ExecContext(ctx context.Context, sql string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, sql string, args ...any) *sql.Row
}

type client struct {
	number   int
	settings [4]string
	db       *sql.DB
	counts   map[string]int
}

var background = context.Background()

func dsn(more string) string {
	a := os.Args
	return fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=disable %s", a[1], a[2], a[3],
		a[4], a[5], more)
}

func open(number int) (*client, error) {
	c := &client{number: number, counts: map[string]int{}, settings: [4]string{fmt.Sprintf("pq %d", number),
		fmt.Sprintf("Etc/GMT+%d", number%12), fmt.Sprintf("own_%d,public", number),
		fmt.Sprintf("%dms", 600100+number)}}
	db, err := sql.Open("postgres", dsn(fmt.Sprintf(
		"application_name='%s' timezone='%s' search_path='%s' statement_timeout='%s'",
		c.settings[0], c.settings[1], c.settings[2], c.settings[3])))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	c.db = db
	return c, nil
}

func (c *client) query(nonce string, n int) error {
	var text string
	var number int
	err := c.db.QueryRow("SELECT $1::text, $2::int + 1", nonce, n).Scan(&text, &number)
	if err == nil && (text != nonce || number != n+1) {
		err = fmt.Errorf("asked %q and %d, got %q and %d", nonce, n+1, text, number)
	}
	c.counts["queries"]++
	return err
}

func (c *client) look() error {
	var got [4]string
	err := c.db.QueryRow(look).Scan(&got[0], &got[1], &got[2], &got[3])
	if err == nil && got != c.settings {
		err = fmt.Errorf("wanted %q, got %q", c.settings, got)
	}
	return err
}

func (c *client) prepared(nonce string, n int) error {
	statement, err := c.db.Prepare("SELECT $1::text, $2::int * 2")
	if err != nil {
		return err
	}
	defer statement.Close()
	for k := 0; k < 7; k++ {
		var text string
		var number int
		if err := statement.QueryRow(nonce, n+k).Scan(&text, &number); err != nil {
			return err
		}
		if text != nonce || number != 2*(n+k) {
			return fmt.Errorf("asked %q and %d, got %q and %d", nonce, 2*(n+k), text, number)
		}
		c.counts["prepared"]++
	}
	return nil
}

func failed(err error, code string) error {
	var problem *pq.Error
	if !errors.As(err, &problem) || string(problem.Code) != code {
		return fmt.Errorf("wanted SQLSTATE %s, got %v", code, err)
	}
	return nil
}

func (c *client) fail(db asker) error {
	var number int
	c.counts["errors"]++
	return failed(db.QueryRowContext(background, "SELECT 1 / $1::int", 0).Scan(&number), "22012")
}

func (c *client) insert(tx asker, n int, kind, nonce string) error {
	if _, err := tx.ExecContext(background, insert, c.number, n, kind, nonce); err != nil {
		return err
	}
	return c.own(tx, kind, nonce)
}

func (c *client) own(tx asker, kind, nonce string) error {
	var rows int
	err := tx.QueryRowContext(background, "SELECT count(*) FROM uses WHERE nonce = $1 AND kind = $2", nonce,
		kind).Scan(&rows)
	if err == nil && rows != 1 {
		err = fmt.Errorf("%d rows %s", rows, kind)
	}
	return err
}

func (c *client) commit(nonce string, n int) error {
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := c.insert(tx, n, "committed", nonce); err != nil {
		return err
	}
	c.counts["committed"]++
	return tx.Commit()
}

func (c *client) rollback(nonce string, n int) error {
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := c.insert(tx, n, "rolled back", nonce); err != nil {
		return err
	}
	if _, err := tx.Exec("SAVEPOINT s"); err != nil {
		return err
	}
	if err := c.fail(tx); err != nil {
		return err
	}
	if _, err := tx.Exec("ROLLBACK TO SAVEPOINT s"); err != nil {
		return err
	}
	if err := c.own(tx, "rolled back", nonce); err != nil {
		return err
	}
	c.counts["rolled_back"]++
	return tx.Rollback()
}

func (c *client) batch(nonce string, n int) error {
	var text strings.Builder
	for k := 0; k < 5; k++ {
		fmt.Fprintf(&text, "INSERT INTO uses VALUES ('pq', %d, %d, 'batch', '%s %d');", c.number, n, nonce, k)
	}
	_, err := c.db.Exec(text.String())
	c.counts["batched"] += 5
	return err
}

func (c *client) fetchTen(tx *sql.Tx, nonce string, last int) (int, error) {
	rows, err := tx.Query("FETCH 10 FROM served")
	if err != nil {
		return last, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var number int
		if err := rows.Scan(&text, &number); err != nil {
			return last, err
		}
		if last++; text != nonce || number != last {
			return last, fmt.Errorf("row %d is %q, %d", last, text, number)
		}
	}
	return last, rows.Err()
}

func (c *client) fetch(nonce string) error {
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	_, err = tx.Exec("DECLARE served CURSOR FOR SELECT '" + nonce + "', g FROM generate_series(1, 25) g")
	last := 0
	for err == nil && last < 25 {
		last, err = c.fetchTen(tx, nonce, last)
	}
	if err != nil {
		return err
	}
	c.counts["fetched"] += last
	return tx.Commit()
}

func (c *client) copy(nonce string, n int) error {
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	into, err := tx.Prepare(pq.CopyIn("uses", "driver", "client", "round", "kind", "nonce"))
	if err != nil {
		return err
	}
	for k := 0; k < 20; k++ {
		if _, err := into.Exec("pq", c.number, n, "copy", fmt.Sprintf("%s %d", nonce, k)); err != nil {
			return err
		}
	}
	if _, err := into.Exec(); err != nil {
		return err
	}
	if err := into.Close(); err != nil {
		return err
	}
	c.counts["copied_in"] += 20
	return tx.Commit()
}

func (c *client) round(n int) error {
	nonce := fmt.Sprintf("pq %d %d", c.number, n)
	c.counts["settings"]++
	for _, step := range []struct {
		what string
		does func() error
	}{
		{"query", func() error { return c.query(nonce, n) }},
		{"settings", c.look},
		{"prepared", func() error { return c.prepared(nonce, n) }},
		{"commit", func() error { return c.commit(nonce, n) }},
		{"rollback", func() error { return c.rollback(nonce, n) }},
		{"error", func() error { return c.fail(c.db) }},
		{"batch", func() error { return c.batch(nonce, n) }},
		{"cursor", func() error { return c.fetch(nonce) }},
		{"COPY", func() error { return c.copy(nonce, n) }},
	} {
		if err := step.does(); err != nil {
			return fmt.Errorf("round %d, %s: %w", n, step.what, err)
		}
	}
	return nil
}

// observer sees what runs. One client at a time is cancelled, so that there is a server connection for it.
type observer struct {
	sync.Mutex
	db *sql.DB
}

func (o *observer) wait(mark string) error {
	for rows := 0; rows == 0; time.Sleep(10 * time.Millisecond) {
		if err := o.db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1
			AND pid <> pg_backend_pid()`, "%"+mark+" */").Scan(&rows); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) cancel(o *observer) error {
	o.Lock()
	defer o.Unlock()
	mark := fmt.Sprintf("cancel of pq %d", c.number)
	ctx, cancel := context.WithCancel(background)
	seen := make(chan error, 1)
	go func() {
		seen <- o.wait(mark)
		cancel()
	}()
	_, err := c.db.ExecContext(ctx, "SELECT pg_sleep(600) /* "+mark+" */")
	if problem := <-seen; problem != nil {
		return problem
	}
	if err := failed(err, "57014"); err != nil {
		return err
	}
	c.counts["cancelled"]++
	return c.look()
}

func run(number, rounds int, o *observer) (map[string]int, error) {
	c, err := open(number)
	if err != nil {
		return nil, err
	}
	defer c.db.Close()
	for n := 0; n < rounds; n++ {
		if err := c.round(n); err != nil {
			return nil, err
		}
	}
	if number%10 == 0 {
		if err := c.cancel(o); err != nil {
			return nil, fmt.Errorf("cancel: %w", err)
		}
	}
	return c.counts, nil
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func main() {
	clients, rounds := number(os.Args[6]), number(os.Args[7])
	db, err := sql.Open("postgres", dsn(""))
	if err != nil {
		panic(err)
	}
	o := &observer{db: db}
	var group sync.WaitGroup
	var lock sync.Mutex
	counts, failures := map[string]int{"copied_out": 0}, 0
	for k := 0; k < clients; k++ {
		group.Add(1)
		go func(k int) {
			defer group.Done()
			done, err := run(k, rounds, o)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures++
				fmt.Printf("client %d: %v\n", k, err)
			}
			for what, times := range done {
				counts[what] += times
			}
		}(k)
	}
	group.Wait()
	o.db.Close()
	if failures > 0 {
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(counts)
}
