using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Activities;

/// <summary>
/// The one place where failures of drivers and store become failures of activities. The kind becomes the error type and decides whether Temporal repeats
/// the step; an exception without a kind is a bug or a crash and stays retryable.
/// </summary>
public static class ActivityErrors
{
    /// <summary>Runs a step and translates what it throws.</summary>
    public static async Task<T> Translate<T>(Func<Task<T>> step)
    {
        try
        {
            return await step();
        }
        catch (SnapshotFlowException e)
        {
            throw new ApplicationFailureException(e.Message, e.InnerException, e.Kind.ToString(), nonRetryable: !e.Kind.IsRetryable());
        }
    }

    /// <summary>Runs a step without a result and translates what it throws.</summary>
    public static Task Translate(Func<Task> step) => Translate(async () =>
    {
        await step();
        return true;
    });
}
