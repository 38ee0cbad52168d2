//! tokio-postgres at its default settings; ../../README.md says what each client does.
//!
//! usage: driver-tokio-postgres HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{pin_mut, SinkExt, TryStreamExt};
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, GenericClient, NoTls};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
type Counts = BTreeMap<&'static str, u64>;

const LOOK: &str = "SELECT current_setting('application_name'), current_setting('TimeZone'), \
                    current_setting('search_path'), current_setting('statement_timeout')";
const INSERT: &str = "INSERT INTO uses VALUES ('tokio-postgres', $1, $2, $3, $4)";

fn check<T: PartialEq + std::fmt::Debug>(got: T, wanted: T, what: &str) -> Outcome<()> {
	if got != wanted {
		return Err(format!("{what}: wanted {wanted:?}, got {got:?}").into());
	}
	Ok(())
}

fn config() -> Config {
	let given: Vec<String> = std::env::args().collect();
	let mut config = Config::new();
	config.host(&given[1]).port(given[2].parse().unwrap()).user(&given[3]).password(&given[4]).dbname(&given[5]);
	config
}

async fn connect(config: &Config) -> Outcome<Client> {
	let (client, connection) = config.connect(NoTls).await?;
	tokio::spawn(connection);
	Ok(client)
}

async fn fail<C: GenericClient>(db: &C, counts: &mut Counts) -> Outcome<()> {
	match db.query_one("SELECT 1 / $1::int4", &[&0i32]).await {
		Ok(_) => Err("a division by zero succeeded".into()),
		Err(problem) => {
			check(problem.code(), Some(&SqlState::DIVISION_BY_ZERO), "SQLSTATE")?;
			*counts.entry("errors").or_default() += 1;
			Ok(())
		}
	}
}

async fn own<C: GenericClient>(db: &C, kind: &str, nonce: &str) -> Outcome<()> {
	let sql = "SELECT count(*) FROM uses WHERE nonce = $1 AND kind = $2";
	check(db.query_one(sql, &[&nonce, &kind]).await?.get::<_, i64>(0), 1, "own rows")
}

struct User {
	number: i32,
	settings: [String; 4],
	db: Client,
	counts: Counts,
}

impl User {
	async fn new(number: i32) -> Outcome<User> {
		let settings = [
			format!("tokio-postgres {number}"),
			format!("Etc/GMT+{}", number % 12),
			format!("own_{number},public"),
			format!("{}ms", 600100 + number),
		];
		let mut config = config();
		config.application_name(&settings[0]);
		config.options(&format!("-c search_path={} -c statement_timeout={}", settings[2], settings[3]));
		let db = connect(&config).await?;
		db.batch_execute(&format!("SET TIME ZONE '{}'", settings[1])).await?;
		Ok(User { number, settings, db, counts: Counts::new() })
	}

	fn count(&mut self, what: &'static str, times: u64) {
		*self.counts.entry(what).or_default() += times;
	}

	async fn look(&self) -> Outcome<()> {
		let row = self.db.query_one(LOOK, &[]).await?;
		check([row.get(0), row.get(1), row.get(2), row.get(3)], self.settings.clone(), "settings")
	}

	async fn query(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let row = self.db.query_one("SELECT $1::text, $2::int4 + 1", &[&nonce, &n]).await?;
		check((row.get(0), row.get(1)), (nonce, n + 1), "query")?;
		self.count("queries", 1);
		Ok(())
	}

	async fn prepared(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let statement = self.db.prepare("SELECT $1::text, $2::int4 * 2").await?;
		for k in n..n + 7 {
			let row = self.db.query_one(&statement, &[&nonce, &k]).await?;
			check((row.get(0), row.get(1)), (nonce, 2 * k), "prepared")?;
			self.count("prepared", 1);
		}
		Ok(())
	}

	async fn transactions(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let transaction = self.db.transaction().await?;
		transaction.execute(INSERT, &[&self.number, &n, &"committed", &nonce]).await?;
		own(&transaction, "committed", nonce).await?;
		transaction.commit().await?;
		let mut transaction = self.db.transaction().await?;
		transaction.execute(INSERT, &[&self.number, &n, &"rolled back", &nonce]).await?;
		let savepoint = transaction.transaction().await?;
		fail(&savepoint, &mut self.counts).await?;
		savepoint.rollback().await?;
		own(&transaction, "rolled back", nonce).await?;
		transaction.rollback().await?;
		self.count("committed", 1);
		self.count("rolled_back", 1);
		Ok(())
	}

	/// Five at once: what is asked of a client concurrently is pipelined.
	async fn batch(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let statement = self.db.prepare(INSERT).await?;
		let (db, number, statement) = (&self.db, self.number, &statement);
		let rows = try_join_all((0..5).map(|k| async move {
			db.execute(statement, &[&number, &n, &"batch", &format!("{nonce} {k}")]).await
		}))
		.await?;
		self.count("batched", rows.iter().sum());
		Ok(())
	}

	async fn fetch(&mut self, nonce: &str) -> Outcome<()> {
		let mut last = 0;
		let transaction = self.db.transaction().await?;
		let portal = transaction.bind("SELECT $1::text, g FROM generate_series(1, 25) g", &[&nonce]).await?;
		loop {
			let rows = transaction.query_portal(&portal, 10).await?;
			for row in &rows {
				last += 1;
				check((row.get(0), row.get(1)), (nonce, last), "portal")?;
			}
			if rows.len() < 10 {
				break;
			}
		}
		transaction.commit().await?;
		self.count("fetched", last as u64);
		Ok(())
	}

	async fn copy(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let line = |k| format!("tokio-postgres\t{}\t{n}\tcopy\t{nonce} {k}\n", self.number);
		let lines: String = (10..30).map(line).collect();
		let sink = self.db.copy_in("COPY uses FROM STDIN").await?;
		pin_mut!(sink);
		for part in lines.as_bytes().chunks(100) {
			sink.send(std::io::Cursor::new(part.to_vec())).await?;
		}
		let copied = sink.finish().await?;
		let sql = format!("SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '{nonce} %' ORDER BY nonce");
		let parts: Vec<_> = self.db.copy_out(&format!("COPY ({sql}) TO STDOUT")).await?.try_collect().await?;
		check(parts.concat(), lines.into_bytes(), "COPY")?;
		self.count("copied_in", copied);
		self.count("copied_out", parts.len() as u64);
		Ok(())
	}

	async fn round(&mut self, n: i32) -> Outcome<()> {
		let nonce = format!("tokio-postgres {} {n}", self.number);
		self.query(&nonce, n).await?;
		self.look().await?;
		self.count("settings", 1);
		self.prepared(&nonce, n).await?;
		self.transactions(&nonce, n).await?;
		fail(&self.db, &mut self.counts).await?;
		self.batch(&nonce, n).await?;
		self.fetch(&nonce).await?;
		self.copy(&nonce, n).await
	}

	async fn cancel(&mut self, observer: &Client) -> Outcome<()> {
		let mark = format!("cancel of tokio-postgres {}", self.number);
		let sql = format!("SELECT pg_sleep(600) /* {mark} */");
		let token = self.db.cancel_token();
		let (asleep, seen) = tokio::join!(self.db.batch_execute(&sql), async {
			wait_for(observer, &mark).await?;
			token.cancel_query(NoTls).await
		});
		seen?;
		let problem = asleep.err().ok_or("nothing was cancelled")?;
		check(problem.code(), Some(&SqlState::QUERY_CANCELED), "SQLSTATE")?;
		self.count("cancelled", 1);
		self.look().await
	}
}

/// One client at a time is cancelled, so that there is a server connection for the one that looks.
async fn wait_for(observer: &Client, mark: &str) -> Result<(), tokio_postgres::Error> {
	let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()";
	while observer.query_one(sql, &[&format!("%{mark} */")]).await?.get::<_, i64>(0) == 0 {
		tokio::time::sleep(Duration::from_millis(10)).await;
	}
	Ok(())
}

async fn run(number: i32, rounds: i32, observer: Arc<Mutex<Client>>) -> Outcome<Counts> {
	let mut user = User::new(number).await?;
	for n in 0..rounds {
		user.round(n).await?;
	}
	if number % 10 == 0 {
		let observer = observer.lock().await;
		user.cancel(&observer).await?;
	}
	Ok(user.counts)
}

#[tokio::main]
async fn main() -> Outcome<()> {
	let given: Vec<i32> = std::env::args().skip(6).map(|a| a.parse().unwrap()).collect();
	let observer = Arc::new(Mutex::new(connect(&config()).await?));
	let clients: Vec<_> = (0..given[0]).map(|k| (k, tokio::spawn(run(k, given[1], observer.clone())))).collect();
	let mut counts = Counts::new();
	for (number, client) in clients {
		for (what, times) in client.await?.map_err(|problem| format!("client {number}: {problem:?}"))? {
			*counts.entry(what).or_default() += times;
		}
	}
	println!("{counts:?}"); // looks like JSON
	Ok(())
}
