using System.Diagnostics;

namespace SnapshotFlow.Stack.Processes;

/// <summary>How a command ended.</summary>
/// <param name="ExitCode">0 for success.</param>
/// <param name="Output">Both of its outputs.</param>
internal sealed record CommandResult(int ExitCode, string Output);

/// <summary>Runs a short command to its end.</summary>
internal static class Command
{
    /// <summary>Runs it; cancelling kills it.</summary>
    public static async Task<CommandResult> RunAsync(IReadOnlyList<string> words, CancellationToken ct)
    {
        using var process = await ProcessLauncher.StartAsync(new ProcessStartInfo("setpriv", ["--pdeathsig", "KILL", "--", .. words])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/",
        });
        try
        {
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(ct);
            var errors = process.StandardError.ReadToEndAsync(ct);
            await process.WaitForExitAsync(ct);
            return new CommandResult(process.ExitCode, (await output + await errors).TrimEnd());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>Runs it and demands success.</summary>
    public static async Task CheckAsync(IReadOnlyList<string> words, CancellationToken ct)
    {
        var result = await RunAsync(words, ct);
        if (result.ExitCode != 0)
        {
            throw new StackException($"{string.Join(' ', words)} failed with exit code {result.ExitCode}: {result.Output}");
        }
    }
}
