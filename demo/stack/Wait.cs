using System.Diagnostics;

namespace SnapshotFlow.Stack;

/// <summary>Waiting for a condition, with a deadline. Nothing here waits for time.</summary>
public static class Wait
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Asks until there is an answer.</summary>
    /// <param name="what">What is awaited, for the message of the <see cref="StackException"/> when <paramref name="deadline"/> passes.</param>
    /// <param name="deadline">Longest wait.</param>
    /// <param name="probe">Null: not yet. An exception ends the wait.</param>
    /// <param name="ct">Ends the wait.</param>
    public static async Task<T> ForAsync<T>(string what, TimeSpan deadline, Func<CancellationToken, Task<T?>> probe, CancellationToken ct) where T : class
    {
        var watch = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(Interval);
        while (true)
        {
            if (await probe(ct) is { } answer)
            {
                return answer;
            }
            if (watch.Elapsed > deadline)
            {
                throw new StackException($"waited {deadline.TotalSeconds:0.#} s in vain for {what}");
            }
            await timer.WaitForNextTickAsync(ct);
        }
    }

    /// <summary>Asks until it is true.</summary>
    public static Task UntilAsync(string what, TimeSpan deadline, Func<CancellationToken, Task<bool>> probe, CancellationToken ct) =>
        ForAsync(what, deadline, async token => await probe(token) ? what : null, ct);
}
