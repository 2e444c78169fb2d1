using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.TemporalDev.Store.Postgres;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

internal static class Stores
{
    /// <param name="failStop">What happens when the store gives up. By default the process ends, as the server would.</param>
    /// <param name="checkpointBytes">Size of the journal at which it is folded; 1 folds after every write.</param>
    public static PostgresStore Postgres(
        string connectionString, Action<Exception>? failStop = null, TimeSpan? patience = null, long? checkpointBytes = null) => new(
        new PostgresStoreOptions
        {
            ConnectionString = connectionString,
            CheckpointBytes = checkpointBytes ?? 1024 * 1024,
            Patience = patience ?? TimeSpan.FromSeconds(20),
            LockPatience = TimeSpan.FromSeconds(1),
            WatchInterval = TimeSpan.FromMilliseconds(50),
        },
        failStop ?? (e => Environment.FailFast("the store gave up", e)),
        TimeProvider.System,
        NullLogger<PostgresStore>.Instance);
}
