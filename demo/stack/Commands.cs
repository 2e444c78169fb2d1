using Npgsql;
using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Stack;

/// <summary>What every command does around its work: signals, messages, exit code.</summary>
internal static class Commands
{
    /// <summary>128 + SIGINT, as a shell reports it.</summary>
    private const int Interrupted = 130;

    public static async Task<int> RunAsync(Func<CancellationToken, Task<int>> command)
    {
        using var signals = new StopSignals();
        try
        {
            return await command(signals.Token);
        }
        catch (OperationCanceledException) when (signals.Token.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("stopped");
            return Interrupted;
        }
        catch (Exception e) when (e is StackException or SnapshotFlowException or NpgsqlException or RpcException or IOException)
        {
            await Console.Error.WriteLineAsync($"error: {e.Message}");
            return 1;
        }
    }
}
