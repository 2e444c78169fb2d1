using Npgsql;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// Keeps the server's data in PostgreSQL. All waiting transitions are one row of a journal; now and then a checkpoint folds the journal into
/// the tables (<see cref="PostgresSchema"/>), beside the writes and never ahead of them. A write whose outcome is not known, because the
/// connection broke under it, is looked up by its number before it is repeated.
/// </summary>
/// <remarks>
/// The journal is written on one connection that also holds the lock on the data (<see cref="OwnerSession"/>). When it breaks, the server
/// connects again, for example to a database that has restarted, and goes on only if it gets the lock and nobody has written
/// meanwhile. Otherwise it ends itself: its memory may no longer be what the data says. A checkpoint needs no lock, because it changes
/// nothing of what the data says, and fails once another server has started on the data.
/// </remarks>
public sealed partial class PostgresStore : IStore
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly PostgresStoreOptions options;
    private readonly NpgsqlConnectionStringBuilder settings;
    private readonly NpgsqlDataSource connections;
    private readonly Action<Exception> failStop;
    private readonly TimeProvider time;
    private readonly ILogger<PostgresStore> logger;
    private readonly SemaphoreSlim gate = new(1);
    private readonly CancellationTokenSource stopping = new();
    private readonly MemoryStream bytes = new();
    private readonly Dictionary<Guid, long> lastEvents = [];
    private OwnerSession? session;
    private Task watch = Task.CompletedTask;
    private long starts;
    private long lastBatch;

    /// <param name="failStop">Called when the lock on the data is lost and cannot be had again: the server must end itself.</param>
    public PostgresStore(PostgresStoreOptions options, Action<Exception> failStop, TimeProvider time, ILogger<PostgresStore> logger)
    {
        this.options = options;
        this.failStop = failStop;
        this.time = time;
        this.logger = logger;
        settings = options.Parse();
        var source = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(settings.ConnectionString) { MaxPoolSize = 4, MinPoolSize = 0 }.ConnectionString);
        source.UsePhysicalConnectionInitializer(
            _ => throw new NotSupportedException("connections are opened asynchronously"),
            connection => OwnerSession.SetUpAsync(connection, CancellationToken.None));
        connections = source.Build();
    }

    public bool IsDurable => true;

    public async Task WriteAsync(IReadOnlyList<Transition> batch, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            var ends = FollowingEvents(batch);
            bytes.SetLength(0);
            JournalFormat.Write(bytes, batch);
            var row = bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
            await OwnAsync(
                owner =>
                {
                    owner.Append(lastBatch + 1, row);
                    return Task.CompletedTask;
                },
                lastBatch + 1,
                cancellationToken);
            lastBatch++;
            foreach (var (run, end) in ends)
            {
                lastEvents[run] = end;
            }

            foreach (var key in batch.SelectMany(t => t.Deleted))
            {
                lastEvents.Remove(Guid.Parse(key.RunId));
            }

            unfolded.Add(lastBatch, batch, row.Length);
            await CheckpointWhenDueAsync();
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await watch;
        await checkpointing;
        if (session is not null)
        {
            await session.DisposeAsync();
        }

        await connections.DisposeAsync();
        gate.Dispose();
        stopping.Dispose();
    }

    /// <summary>Where the histories of the batch's runs end with it.</summary>
    /// <exception cref="StoreException">Events do not follow each other: nothing of the batch may be written.</exception>
    private Dictionary<Guid, long> FollowingEvents(IReadOnlyList<Transition> batch)
    {
        var ends = new Dictionary<Guid, long>(batch.Count);
        foreach (var transition in batch)
        {
            foreach (var change in transition.Runs)
            {
                var run = Guid.Parse(change.Key.RunId);
                var end = ends.TryGetValue(run, out var known) || lastEvents.TryGetValue(run, out known) ? known : 0;
                if ((change.Events.Count > 0 && change.FirstEventId != end + 1) || (end == 0 && change.Header is null))
                {
                    throw new StoreException($"run {run} has {end} events; event {change.FirstEventId} cannot follow");
                }

                ends[run] = end + change.Events.Count;
            }
        }

        return ends;
    }

    /// <summary>Does something as the owner of the data; after a broken connection as the owner again, unless it turns out to be done.</summary>
    /// <param name="resultingBatch">The batch that is the last one once the work is done.</param>
    private async Task OwnAsync(Func<OwnerSession, Task> work, long resultingBatch, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                if (session is null && await ReopenAsync(resultingBatch, cancellationToken) > lastBatch)
                {
                    // The commit had arrived; only its answer was lost.
                    return;
                }

                await work(session!);
                return;
            }
            catch (NpgsqlException e) when (IsPassing(e) && time.GetElapsedTime(began) < options.Patience)
            {
                Log.Interrupted(logger, e.Message);
                await CloseAsync();
                await Task.Delay(RetryPause, time, cancellationToken);
            }
        }
    }

    /// <summary>Takes the lock again and answers which batch was the last.</summary>
    private async Task<long> ReopenAsync(long resultingBatch, CancellationToken cancellationToken)
    {
        var opened = await OwnerSession.OpenAsync(settings, options.Schema, options.LockPatience, time, cancellationToken);
        try
        {
            var found = await opened.ReadPositionAsync(cancellationToken);
            if (found.Starts != starts || (found.LastBatch != lastBatch && found.LastBatch != resultingBatch))
            {
                throw new StoreException(
                    $"another server has written to the data in schema {options.Schema} while the connection was away (batch {found.LastBatch} after {lastBatch}, start {found.Starts} after {starts})");
            }

            session = opened;
            Log.Resumed(logger, found.LastBatch);
            return found.LastBatch;
        }
        catch
        {
            await opened.DisposeAsync();
            throw;
        }
    }

    private async Task CloseAsync()
    {
        if (session is { } broken)
        {
            session = null;
            await broken.DisposeAsync();
        }
    }

    /// <summary>An idle server notices, too, that it has lost its data.</summary>
    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(options.WatchInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                if (!await gate.WaitAsync(TimeSpan.Zero, stopping.Token))
                {
                    continue;
                }

                try
                {
                    await OwnAsync(owner => owner.PingAsync(stopping.Token), lastBatch, stopping.Token);
                }
                finally
                {
                    gate.Release();
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The server is stopping.
        }
        catch (Exception e)
        {
            failStop(e);
        }
    }

    /// <summary>The database is away or overloaded, and may be back soon; nothing is wrong with what was asked.</summary>
    private static bool IsPassing(NpgsqlException e) =>
        e.IsTransient
        || e.InnerException is IOException or TimeoutException or System.Net.Sockets.SocketException
        || (e is PostgresException { SqlState: var state }
            && (state.StartsWith("57P", StringComparison.Ordinal) || state.StartsWith("08", StringComparison.Ordinal) || state.StartsWith("53", StringComparison.Ordinal)));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "the database does not answer and is tried again: {Reason}")]
        public static partial void Interrupted(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Warning, "the database is back; the last batch it has is {Batch}")]
        public static partial void Resumed(ILogger logger, long batch);
    }
}
