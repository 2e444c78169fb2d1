using Npgsql;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>Folding the journal into the tables, beside the writes.</summary>
public sealed partial class PostgresStore
{
    /// <summary>How many times its usual size the journal may have before writes wait for a checkpoint that does not keep up.</summary>
    private const int MostJournals = 8;

    private Unfolded unfolded = new();
    private Task checkpointing = Task.CompletedTask;
    private long checkpoint;

    /// <summary>Called with the gate held.</summary>
    private async Task CheckpointWhenDueAsync()
    {
        if (unfolded.Bytes < options.CheckpointBytes)
        {
            return;
        }

        if (unfolded.Bytes >= MostJournals * options.CheckpointBytes)
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
        var isRepeated = false;
        while (true)
        {
            try
            {
                await using var connection = await connections.OpenConnectionAsync(stopping.Token);
                if (isRepeated && await IsDoneAsync(connection, folding))
                {
                    // An earlier attempt had arrived; only its answer was lost.
                    break;
                }

                isRepeated = true;
                await folding.FoldAsync(connection, checkpoint, starts, stopping.Token);
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
                failStop(e is PostgresException { SqlState: PostgresSchema.Unexpected } unexpected ? new StoreException(unexpected.MessageText, e) : e);
                return;
            }
        }

        checkpoint = folding.LastBatch;
    }

    private async Task<bool> IsDoneAsync(NpgsqlConnection connection, Unfolded folding)
    {
        await using var command = new NpgsqlCommand("select checkpoint = $1 and starts = $2 from server", connection)
        {
            Parameters = { new() { Value = folding.LastBatch }, new() { Value = starts } },
        };
        return await command.ExecuteScalarAsync(stopping.Token) is true;
    }
}
