using Npgsql;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>Folding the journal into the tables, beside the writes.</summary>
public sealed partial class PostgresStore
{
    /// <summary>Size of the journal at which it is folded. More would make a start after a crash longer and gain little.</summary>
    private const long JournalBytes = 8 * 1024 * 1024;

    /// <summary>Where writes wait for a checkpoint that does not keep up.</summary>
    private const long MostJournalBytes = 8 * JournalBytes;

    private Unfolded unfolded = new();
    private Task checkpointing = Task.CompletedTask;
    private long checkpoint;

    /// <summary>Called with the gate held.</summary>
    private async Task CheckpointWhenDueAsync()
    {
        if (unfolded.Bytes < JournalBytes)
        {
            return;
        }

        if (unfolded.Bytes >= MostJournalBytes)
        {
            await checkpointing;
        }

        if (checkpointing.IsCompleted)
        {
            BeginCheckpoint();
        }
    }

    /// <summary>Called with the gate held, or before anybody can write.</summary>
    private void BeginCheckpoint()
    {
        var folding = unfolded;
        unfolded = new Unfolded();
        checkpointing = Task.Run(() => CheckpointAsync(folding));
    }

    /// <summary>Waits until the tables say everything about a run.</summary>
    private async Task FoldAsync(Guid run)
    {
        await gate.WaitAsync();
        try
        {
            await checkpointing;
            if (unfolded.Concerns(run))
            {
                BeginCheckpoint();
                await checkpointing;
            }
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task CheckpointAsync(Unfolded folding)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                await using var connection = await connections.OpenConnectionAsync(stopping.Token);
                await folding.FoldAsync(connection, checkpoint, starts, stopping.Token);
                break;
            }
            catch (PostgresException e) when (e.SqlState == PostgresSchema.Unexpected && !stopping.IsCancellationRequested)
            {
                if (!await IsDoneAsync(folding))
                {
                    failStop(new StoreException(e.MessageText, e));
                    return;
                }

                // An earlier attempt had arrived; only its answer was lost.
                break;
            }
            catch (NpgsqlException e) when (IsPassing(e) && time.GetElapsedTime(began) < options.Patience && !stopping.IsCancellationRequested)
            {
                Log.Interrupted(logger, e.Message);
                await Task.Delay(RetryPause, time, CancellationToken.None);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                // What is not folded stays in the journal.
                return;
            }
            catch (Exception e)
            {
                failStop(e);
                return;
            }
        }

        checkpoint = folding.LastBatch;
    }

    private async Task<bool> IsDoneAsync(Unfolded folding)
    {
        try
        {
            await using var connection = await connections.OpenConnectionAsync(stopping.Token);
            await using var command = new NpgsqlCommand("select checkpoint = $1 and starts = $2 from server", connection)
            {
                Parameters = { new() { Value = folding.LastBatch }, new() { Value = starts } },
            };
            return await command.ExecuteScalarAsync(stopping.Token) is true;
        }
        catch (NpgsqlException e) when (IsPassing(e))
        {
            return false;
        }
    }
}
