using System.Diagnostics;
using System.Text.Json;

namespace SnapshotFlow.Tests.Client;

/// <summary>What the client printed, and how it ended.</summary>
public sealed record Said(IReadOnlyList<string> Command, int Code, string Out, string Err)
{
    /// <summary>It ended well.</summary>
    public Said Succeeds() => Code == 0 ? this : throw new Xunit.Sdk.XunitException($"openstack {string.Join(' ', Command)} ended with {Code}\n{Out}\n{Err}");

    /// <summary>It ended badly, and what the user reads holds all of these.</summary>
    public void Fails(params string[] parts)
    {
        Assert.True(Code != 0, $"openstack {string.Join(' ', Command)} succeeded\n{Out}");
        Assert.All(parts, part => Assert.Contains(part, Err + Out, StringComparison.Ordinal));
        Assert.DoesNotContain("Traceback", Err, StringComparison.Ordinal);
    }

    /// <summary>What it printed, as JSON (<c>-f json</c>).</summary>
    public JsonElement Json => JsonDocument.Parse(Out).RootElement;

    /// <summary>A field of <see cref="Json"/> as text.</summary>
    public string? this[string field] => Json.GetProperty(field) is { ValueKind: JsonValueKind.String } text ? text.GetString() : Json.GetProperty(field).GetRawText();

    /// <summary>A column of a list.</summary>
    public IReadOnlyList<string?> Column(string name) => [.. Json.EnumerateArray().Select(row => row.GetProperty(name).ToString())];
}

/// <summary>The stock <c>openstack</c> program with an <c>openrc</c> file, one command at a time.</summary>
public sealed class OpenStackClient : IAsyncDisposable
{
    private readonly Process process;
    private readonly SemaphoreSlim turn = new(1);

    private OpenStackClient(Process process) => this.process = process;

    public static async Task<OpenStackClient> StartAsync(string openrc, CancellationToken ct)
    {
        // It ends when its standard input does, so also when this process dies. Not by a death signal: that one comes when the starting thread ends.
        var start = new ProcessStartInfo("bash") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in new[] { "-c", ". \"$0\" && exec /usr/bin/python3 \"$1\"", openrc, Path.Combine(AppContext.BaseDirectory, "client.py") })
        {
            start.ArgumentList.Add(word);
        }

        var client = new OpenStackClient(Process.Start(start)!);
        if (await client.process.StandardOutput.ReadLineAsync(ct) is null)
        {
            throw new InvalidOperationException(
                $"the stock openstack client cannot be loaded (apt-get install python3-openstackclient): {await client.process.StandardError.ReadToEndAsync(ct)}");
        }

        client.process.ErrorDataReceived += (_, _) => { };
        client.process.BeginErrorReadLine();
        return client;
    }

    /// <summary>Runs a command; words are separated by spaces, and a word with spaces is given in double quotes.</summary>
    public Task<Said> RunAsync(string command, params (string Name, string Value)[] environment) => RunAsync(Words(command), environment);

    public async Task<Said> RunAsync(IReadOnlyList<string> words, params (string Name, string Value)[] environment)
    {
        var ct = TestContext.Current.CancellationToken;
        await turn.WaitAsync(ct);
        try
        {
            await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(new { argv = words, env = environment.ToDictionary(e => e.Name, e => e.Value) }).AsMemory(), ct);
            await process.StandardInput.FlushAsync(ct);
            var line = await process.StandardOutput.ReadLineAsync(ct) ?? throw new InvalidOperationException("the client's process ended");
            var answer = JsonDocument.Parse(line).RootElement;
            return new(words, answer.GetProperty("code").GetInt32(), answer.GetProperty("out").GetString()!, answer.GetProperty("err").GetString()!);
        }
        finally
        {
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        process.Dispose();
        turn.Dispose();
    }

    private static List<string> Words(string command)
    {
        List<string> words = [];
        foreach (var (part, i) in command.Split('"').Select((p, i) => (p, i)))
        {
            if (i % 2 == 1)
            {
                words.Add(part);
            }
            else
            {
                words.AddRange(part.Split(' ', StringSplitOptions.RemoveEmptyEntries));
            }
        }

        return words;
    }
}
