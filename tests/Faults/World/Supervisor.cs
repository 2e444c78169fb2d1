using System.Collections.Concurrent;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Faults.World;

/// <summary>Starts every process of the stack again when it has ended, for whatever reason, as the service units do (<c>Restart=always</c>).</summary>
public sealed class Supervisor : IAsyncDisposable
{
    private const int WrongConfiguration = 78;

    private readonly DevelopmentStack stack;
    private readonly CancellationTokenSource ending = new();
    private readonly ConcurrentDictionary<StackPart, int> restarts = new();
    private readonly List<Task> watching;

    /// <summary>Begins to watch.</summary>
    public Supervisor(DevelopmentStack stack)
    {
        this.stack = stack;
        watching = [.. Enum.GetValues<StackPart>().Select(WatchAsync)];
    }

    /// <summary>How often a part was started again.</summary>
    public int Restarts(StackPart part) => restarts.GetValueOrDefault(part);

    /// <summary>Throws what went wrong with starting something again.</summary>
    public void ThrowIfFailed() => watching.FirstOrDefault(w => w.IsFaulted)?.GetAwaiter().GetResult();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        await Task.WhenAll(watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ending.Dispose();
    }

    // RestartSec of the service units.
    private static TimeSpan BeforeRestart(StackPart part) => part is StackPart.Guard ? TimeSpan.FromMilliseconds(100) : TimeSpan.FromSeconds(1);

    private async Task WatchAsync(StackPart part)
    {
        try
        {
            while (true)
            {
                await stack.Part(part).WaitForExitAsync(ending.Token);
                if (stack.Part(part) is { ExitCode: WrongConfiguration } gaveUp)
                {
                    // RestartPreventExitStatus of the service units.
                    throw new StackException($"{part} ended for good, as with a wrong configuration:\n{gaveUp.LogTail()}");
                }

                await Task.Delay(BeforeRestart(part), ending.Token);
                await stack.StartAgainAsync(part, ending.Token);
                restarts.AddOrUpdate(part, 1, (_, n) => n + 1);
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The end.
        }
    }
}
