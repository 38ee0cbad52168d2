import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.PGConnection;

/**
 * pgjdbc at its default settings, with autocommit off and a fetch size; ../README.md says what each client does.
 *
 * usage: java Main HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS
 */
public class Main {
	static final String LOOK = "SELECT current_setting('application_name'), current_setting('TimeZone'),"
		+ " current_setting('search_path'), current_setting('statement_timeout')";
	static final String INSERT = "INSERT INTO uses VALUES ('pgjdbc', ?, ?, ?, ?)";
	static String[] arguments;
	static final Map<String, Integer> counts = new TreeMap<>();

	static synchronized void count(String what, int times) {
		counts.merge(what, times, Integer::sum);
	}

	static void check(Object got, Object wanted, String what) {
		if (!got.equals(wanted))
			throw new IllegalStateException(what + ": wanted " + wanted + ", got " + got);
	}

	static Connection connect(String name, String options) throws SQLException {
		Properties login = new Properties();
		login.setProperty("user", arguments[2]);
		login.setProperty("password", arguments[3]);
		login.setProperty("ApplicationName", name);
		login.setProperty("options", options);
		return DriverManager.getConnection("jdbc:postgresql://" + arguments[0] + ":" + arguments[1] + "/" + arguments[4],
			login);
	}

	static class Client implements AutoCloseable {
		final int number;
		final List<String> settings;
		final Connection db;

		Client(int number) throws SQLException {
			this.number = number;
			settings = List.of("pgjdbc " + number, "Etc/GMT+" + number % 12, "own_" + number + ",public",
				600100 + number + "ms");
			db = connect(settings.get(0), "-c search_path=" + settings.get(2) + " -c statement_timeout=" + settings.get(3));
			try (Statement statement = db.createStatement()) {
				statement.execute("SET TIME ZONE '" + settings.get(1) + "'");
			}
			db.setAutoCommit(false);
		}

		void look() throws SQLException {
			try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery(LOOK)) {
				rows.next();
				check(List.of(rows.getString(1), rows.getString(2), rows.getString(3), rows.getString(4)), settings,
					"settings");
			}
			db.commit();
		}

		void expect(PreparedStatement statement, String nonce, int given, int wanted) throws SQLException {
			statement.setString(1, nonce);
			statement.setInt(2, given);
			try (ResultSet rows = statement.executeQuery()) {
				rows.next();
				check(rows.getString(1), nonce, "nonce");
				check(rows.getInt(2), wanted, "number");
			}
		}

		/** One in autocommit, for that is in use too. */
		void query(String nonce, int n) throws SQLException {
			db.setAutoCommit(n % 2 == 1);
			try (PreparedStatement statement = db.prepareStatement("SELECT ?::text, ?::int + 1")) {
				expect(statement, nonce, n, n + 1);
			}
			db.setAutoCommit(false);
			count("queries", 1);
		}

		void prepared(String nonce, int n) throws SQLException {
			try (PreparedStatement statement = db.prepareStatement("SELECT ?::text, ?::int * 2")) {
				for (int k = 0; k < 7; k++) {
					expect(statement, nonce, n + k, 2 * (n + k));
					db.commit();
					count("prepared", 1);
				}
			}
		}

		void bind(PreparedStatement statement, int n, String kind, String nonce) throws SQLException {
			statement.setInt(1, number);
			statement.setInt(2, n);
			statement.setString(3, kind);
			statement.setString(4, nonce);
		}

		void insert(int n, String kind, String nonce) throws SQLException {
			try (PreparedStatement statement = db.prepareStatement(INSERT)) {
				bind(statement, n, kind, nonce);
				check(statement.executeUpdate(), 1, "insert");
			}
			own(kind, nonce);
		}

		void own(String kind, String nonce) throws SQLException {
			try (PreparedStatement statement = db.prepareStatement(
					"SELECT count(*) FROM uses WHERE nonce = ? AND kind = ?")) {
				statement.setString(1, nonce);
				statement.setString(2, kind);
				try (ResultSet rows = statement.executeQuery()) {
					rows.next();
					check(rows.getInt(1), 1, "own rows");
				}
			}
		}

		void fail() throws SQLException {
			try (PreparedStatement statement = db.prepareStatement("SELECT 1 / ?::int")) {
				statement.setInt(1, 0);
				statement.executeQuery();
			} catch (SQLException problem) {
				check(problem.getSQLState(), "22012", "SQLSTATE of " + problem);
				count("errors", 1);
				return;
			}
			throw new IllegalStateException("a division by zero succeeded");
		}

		void transactions(String nonce, int n) throws SQLException {
			insert(n, "committed", nonce);
			db.commit();
			count("committed", 1);
			insert(n, "rolled back", nonce);
			Savepoint savepoint = db.setSavepoint();
			fail();
			db.rollback(savepoint);
			own("rolled back", nonce);
			db.rollback();
			count("rolled_back", 1);
		}

		void batch(String nonce, int n) throws SQLException {
			try (PreparedStatement statement = db.prepareStatement(INSERT)) {
				for (int k = 0; k < 5; k++) {
					bind(statement, n, "batch", nonce + " " + k);
					statement.addBatch();
				}
				count("batched", Arrays.stream(statement.executeBatch()).sum());
			}
			db.commit();
		}

		void fetch(String nonce) throws SQLException {
			int last = 0;
			try (PreparedStatement statement = db.prepareStatement("SELECT ?::text, g FROM generate_series(1, 25) g")) {
				statement.setString(1, nonce);
				statement.setFetchSize(10);
				try (ResultSet rows = statement.executeQuery()) {
					while (rows.next()) {
						check(rows.getString(1), nonce, "nonce");
						check(rows.getInt(2), ++last, "row");
					}
				}
			}
			db.commit();
			count("fetched", last);
		}

		void copy(String nonce, int n) throws Exception {
			String lines = IntStream.range(10, 30).mapToObj(
				k -> "pgjdbc\t" + number + "\t" + n + "\tcopy\t" + nonce + " " + k + "\n").collect(Collectors.joining());
			var copy = db.unwrap(PGConnection.class).getCopyAPI();
			count("copied_in", (int)copy.copyIn("COPY uses FROM STDIN", new StringReader(lines)));
			StringWriter out = new StringWriter();
			count("copied_out", (int)copy.copyOut("COPY (SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '" + nonce
				+ " %' ORDER BY nonce) TO STDOUT", out));
			db.commit();
			check(out.toString(), lines, "COPY");
		}

		void round(int n) throws Exception {
			String nonce = "pgjdbc " + number + " " + n;
			query(nonce, n);
			look();
			count("settings", 1);
			prepared(nonce, n);
			transactions(nonce, n);
			fail();
			db.rollback();
			batch(nonce, n);
			fetch(nonce);
			copy(nonce, n);
		}

		void cancel(Observer observer, ExecutorService threads) throws Exception {
			String mark = "cancel of pgjdbc " + number;
			try (Statement statement = db.createStatement()) {
				Future<?> seen = threads.submit(() -> {
					observer.waitFor(mark);
					statement.cancel();
					return null;
				});
				try {
					statement.execute("SELECT pg_sleep(600) /* " + mark + " */");
					throw new IllegalStateException("nothing was cancelled");
				} catch (SQLException problem) {
					check(problem.getSQLState(), "57014", "SQLSTATE of " + problem);
				}
				seen.get();
			}
			count("cancelled", 1);
			db.rollback();
			look();
		}

		void run(int rounds, Observer observer, ExecutorService threads) throws Exception {
			for (int n = 0; n < rounds; n++)
				round(n);
			if (number % 10 == 0)
				synchronized (observer) {
					cancel(observer, threads);
				}
		}

		/** A client that failed must not keep a server connection from the others. */
		@Override
		public void close() throws SQLException {
			db.close();
		}
	}

	/** Sees what runs. One client at a time is cancelled, so that there is a server connection for it. */
	static class Observer {
		final Connection db;

		Observer() throws SQLException {
			db = connect("observer", "");
		}

		void waitFor(String mark) throws Exception {
			try (PreparedStatement statement = db.prepareStatement("SELECT count(*) FROM pg_stat_activity"
					+ " WHERE state = 'active' AND query LIKE ? AND pid <> pg_backend_pid()")) {
				statement.setString(1, "%" + mark + " */");
				for (int running = 0; running == 0; Thread.sleep(10))
					try (ResultSet rows = statement.executeQuery()) {
						rows.next();
						running = rows.getInt(1);
					}
			}
		}
	}

	public static void main(String[] given) throws Exception {
		arguments = given;
		int rounds = Integer.parseInt(given[6]);
		Observer observer = new Observer();
		ExecutorService threads = Executors.newCachedThreadPool();
		List<Future<?>> clients = new ArrayList<>();
		for (int k = 0; k < Integer.parseInt(given[5]); k++) {
			int number = k;
			clients.add(threads.submit((Callable<Void>)() -> {
				try (Client client = new Client(number)) {
					client.run(rounds, observer, threads);
				}
				return null;
			}));
		}
		try {
			for (Future<?> client : clients)
				client.get();
		} catch (Exception problem) {
			problem.printStackTrace();
			System.exit(1);
		}
		threads.shutdown();
		observer.db.close();
		System.out.println(counts.entrySet().stream().map(e -> "\"" + e.getKey() + "\": " + e.getValue())
			.collect(Collectors.joining(", ", "{", "}")));
	}
}
